/** `GET /privacy`: with whom this gateway computes, about which model, and what each of them learns. */
import type { PublicModel } from "../parties/messages.ts";
import { isDecoder } from "../program/spec.ts";
import type { Bounds } from "./continuations.ts";

/** What of a gateway's options it tells. */
interface Disclosed extends Bounds {
  readonly peers: Readonly<Record<"server" | "dealer", Peer>>;
}

/** Whom the gateway's client asks, as its operator named them. */
export interface Peer {
  readonly address: string;
  /** The key's fingerprint; null where the channel has none. */
  readonly key: string | null;
}

export function privacyOf(model: PublicModel, { peers, length, fixed, maxTokens }: Disclosed): object {
  const { spec, id, plan } = model;
  const padded = length === undefined ? "its padded length" : `the padded length ${length}, which is the same for all`;
  const turns = fixed
    ? `that every continuation makes ${maxTokens} tokens`
    : "how many tokens were asked for, how many were taken, and when";
  return {
    model: {
      id,
      architecture: spec.architecture,
      layers: spec.layers,
      activation: spec.gelu,
      softmax: spec.softmax,
      embedding: spec.embedding,
      answer: spec.answer,
      margin: plan.margin,
    },
    parties: peers,
    learns: {
      gateway: "the text and its continuation: it runs on the machine of whoever asks",
      server: `that a text came, ${padded}${isDecoder(spec) ? `, ${turns}` : ""}; no word of it`,
      dealer: "what the server learns of lengths; no text, no weight",
      assumption: "server and dealer do not pool what they know: together they read the text",
    },
    kept: "nothing: no request and no answer is written down or logged here",
  };
}

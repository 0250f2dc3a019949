/** What the page and its worker say to each other. The worker is the MPC client; the page shows. */
import type { Answer } from "../../src/parties/answer.ts";
import type { PinnedParties } from "../../src/parties/connect.ts";
import type { Reply } from "../../src/parties/conversation.ts";
import type { Generated } from "../../src/parties/generation.ts";
import type { SessionParts } from "../../src/parties/session.ts";

/** What is public of the served model. */
export interface OpenedModel {
  /** Of this browser's key: what an operator puts on a list of peers. */
  readonly fingerprint: string;
  readonly kind: "labels" | "value" | "entities" | "text" | "chat";
  /** Whether the client learns scores, or the winner alone. */
  readonly scores: boolean;
  readonly labels: readonly string[];
  readonly layers: number;
  /** Most tokens of a text. */
  readonly limit: number;
  /** "bert, 2 layers of 128, quad + 2quad". */
  readonly described: string;
}

/** Whether a model goes on with what it is told, and judges nothing. */
export function continues({ kind }: OpenedModel): boolean {
  return kind === "text" || kind === "chat";
}

/** Bytes that crossed the wire in one flight. */
export interface SeenFlight {
  readonly flight: number;
  readonly from: "client" | "server";
  readonly bytes: number;
  /** The first of them. */
  readonly head: Uint8Array;
}

/** What each party saw of one request. */
export interface Seen {
  /** What a helper was given; null where this browser computed. */
  readonly helper: { readonly bytes: number; readonly head: Uint8Array } | null;
  /** Here alone: the text in the pieces that the model knows. */
  readonly tokens: readonly string[];
  readonly flights: readonly SeenFlight[];
  /** Word by word what the dealer was told, but for a seed. */
  readonly dealer: readonly SessionParts[];
}

export interface Classified {
  readonly answer: Answer;
  readonly seen: Seen;
  /** Whether the offline phase was over before the question. */
  readonly ahead: boolean;
}

/** One of several texts: its answer, or why there is none. */
export type ClassifiedLine = { readonly line: number } & (
  | { readonly answer: Pick<Answer, "label" | "index" | "scores" | "value" | "entities" | "logits"> }
  | { readonly error: string }
);

export interface Continued {
  readonly text: string;
  readonly run: Generated;
  readonly seen: Seen;
}

/** How a conversation is begun. */
export interface Beginning {
  /** Of one reply, at most. */
  readonly maxTokens: number;
  readonly temperature: number;
}

/** A reply, and what it took from the message on. */
export interface Replied {
  readonly reply: Reply;
  /** Tokens that the parties had not read before; those of all of the conversation where its run was begun for them. */
  readonly read: number;
  /** The padded length that the server was told; null in a run that went on. */
  readonly length: number | null;
  readonly seconds: number;
  /** From one new token to the next; null for a single one. */
  readonly secondsEach: number | null;
  readonly flights: number;
  readonly sent: number;
  readonly received: number;
  readonly seen: Seen;
}

/** What the page asks for, and what it gets. */
export interface Calls {
  /** This browser's own key, which a server may not know yet. */
  key: { readonly asked: object; readonly given: { readonly fingerprint: string } };
  open: { readonly asked: { readonly parties: PinnedParties }; readonly given: OpenedModel };
  /** Makes material while nobody waits. */
  warm: { readonly asked: object; readonly given: null };
  /** `helped`: the text is shared between helper and server, and nothing is computed here. */
  classify: { readonly asked: { readonly text: string; readonly helped: boolean }; readonly given: Classified };
  /** Lines come as events; the result counts those that were answered. */
  classifyAll: { readonly asked: { readonly texts: readonly string[] }; readonly given: { readonly answered: number } };
  generate: {
    readonly asked: { readonly prompt: string; readonly maxTokens: number; readonly temperature: number };
    readonly given: Continued;
  };
  /** `begins`: whatever was said before is forgotten. */
  say: {
    readonly asked: { readonly message: string; readonly begins: Beginning | null };
    readonly given: Replied;
  };
  /** Ends what is being said, continued or classified, after what is at work. */
  stop: { readonly asked: object; readonly given: null };
}

export type Call = keyof Calls;

/** What comes while a call is at work. */
export type Happening =
  /** `layer`: "layer.0", "embeddings", ...; `group`: the kind of work. */
  | {
      readonly what: "progress";
      readonly phase: "offline" | "online";
      readonly done: number;
      readonly total: number;
      readonly layer: string;
      readonly group: string;
    }
  /** The continuation, or the reply, so far. */
  | { readonly what: "text"; readonly text: string }
  | ({ readonly what: "line" } & ClassifiedLine);

export interface ToWorker {
  readonly id: number;
  readonly call: Call;
  readonly asked: Calls[Call]["asked"];
}

export type FromWorker =
  /** The first message: what was sent to a worker before it has loaded may be lost. */
  | { readonly ready: true }
  | ({ readonly id: number } & (
      | { readonly given: Calls[Call]["given"] }
      | { readonly error: string }
      | { readonly happening: Happening }
    ));

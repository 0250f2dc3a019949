/** Where the page's MPC client runs: calls come as messages, and are answered one after the other. */
import type { SigningKey } from "../../src/channels/signing.ts";
import { PartyError } from "../../src/parties/messages.ts";
import { Ring } from "../../src/ring/ring.ts";
import { ownKey } from "./key.ts";
import type { Call, Calls, FromWorker, ToWorker } from "./messages.ts";
import { PageClient, type Tell, wordsOf } from "./page-client.ts";

let client: PageClient | null = null;
let own: Promise<SigningKey> | null = null;
/** The same for as long as the page is open, also where nothing can be kept. */
const key = () => {
  own ??= ownKey();
  return own;
};
/** Calls are answered one after the other. */
let before: Promise<unknown> = Promise.resolve();

const calls: { readonly [C in Call]: (asked: Calls[C]["asked"], tell: Tell) => Promise<Calls[C]["given"]> } = {
  async key() {
    return { fingerprint: (await key()).fingerprint };
  },
  async open({ parties }) {
    client = new PageClient(await Ring.create(), await key(), parties);
    return client.opened();
  },
  async warm(_, tell) {
    await opened().warm(tell);
    return null;
  },
  classify: ({ text, helped }, tell) => (helped ? opened().classifyHelped(text) : opened().classify(text, tell)),
  classifyAll: ({ texts }, tell) => opened().classifyAll(texts, tell),
  generate: (asked, tell) => opened().generate(asked, tell),
  say: (asked, tell) => opened().say(asked, tell),
  async stop() {
    client?.stop();
    return null;
  },
};

function opened(): PageClient {
  if (client === null) throw new PartyError("the page is not connected yet");
  return client;
}

self.onmessage = ({ data: { id, call, asked } }: MessageEvent<ToWorker>) => {
  const post = (message: FromWorker) => self.postMessage(message);
  const run = async () => {
    try {
      const answer = calls[call] as (asked: unknown, tell: Tell) => Promise<Calls[Call]["given"]>;
      post({ id, given: await answer(asked, (happening) => post({ id, happening })) });
    } catch (error) {
      post({ id, error: wordsOf(error) });
    }
  };
  if (call === "stop") return void run();
  // Now, not when its turn comes: a stop may come before that.
  if (call === "generate" || call === "classifyAll" || call === "say") client?.resume();
  before = before.then(run);
};

self.postMessage({ ready: true } satisfies FromWorker);

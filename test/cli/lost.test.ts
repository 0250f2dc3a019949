/** Processes that die or freeze in the middle: the client has a clean error by its deadline, and the next one its answer. */
import { afterAll, describe, expect, it } from "vitest";
import { connectTcp } from "../../src/channels/tcp.ts";
import { Client } from "../../src/parties/client.ts";
import { Ring } from "../../src/ring/ring.ts";
import { type Started, start } from "./started.ts";

/** Of a party that is killed: its peers learn of it at once, so that no deadline may pass before. */
const NEVER_MS = 300_000;
/** Of a party that is frozen: its peers wait that long, and whoever is only slow, as on a busy machine, is not taken for frozen. */
const FROZEN_MS = 20_000;
const TEXT = "an absolute delight from start to finish";

const running: Started[] = [];
afterAll(async () => {
  for (const one of running) one.signal("SIGCONT");
  await Promise.all(running.map((one) => one.ended("SIGKILL")));
});

async function started(...args: string[]): Promise<Started> {
  const one = await start(args);
  running.push(one);
  return one;
}

interface Parties {
  readonly dealer: Started;
  readonly server: Started;
  readonly deadlineMs: number;
}

async function services(deadlineMs: number): Promise<Parties> {
  const common = ["--listen", "127.0.0.1:0", "--deadline", String(deadlineMs / 1000)];
  const dealer = await started("deal", ...common);
  const server = await started("serve", "demo", ...common, "--dealer", dealer.address);
  return { dealer, server, deadlineMs };
}

async function ask(
  { server, dealer, deadlineMs }: Parties,
  onProgress?: (phase: "offline" | "online", done: number) => void,
) {
  const dial = (one: Started, peer: string) =>
    connectTcp("127.0.0.1", Number(one.address.split(":")[1]), { peer, deadlineMs });
  const client = await Client.connect(await Ring.create(), await dial(server, "server"), {
    connectDealer: () => dial(dealer, "dealer"),
    progress: onProgress,
  });
  const { logits } = await client.infer(client.encode(TEXT));
  await client.close();
  return logits[1] > logits[0];
}

/** Asks, and sends one signal to one party as soon as three parts of a phase are done; the answer or the error. */
async function lost(parties: Parties, party: "server" | "dealer", signal: "SIGKILL" | "SIGSTOP", phase: string) {
  let sent = false;
  const outcome = await ask(parties, (at, done) => {
    if (at !== phase || done < 3 || sent) return;
    sent = true;
    parties[party].signal(signal);
  }).catch((error: Error) => error);
  expect(sent, String(outcome)).toBe(true);
  // The dealer's work may be over by then, or its last bytes on their way.
  if (outcome instanceof Error) expect(outcome.message).toMatch(/closed the connection|no answer|gave up|lost|refused/);
  else expect([party, outcome]).toEqual(["dealer", true]);
}

const CASES = [
  ["server", "offline"],
  ["server", "online"],
  ["dealer", "offline"],
  ["dealer", "online"],
] as const;

describe("a process killed in the middle", () => {
  it.each(CASES)("%s in the %s phase", async (party, phase) => {
    const parties = await services(NEVER_MS);
    await lost(parties, party, "SIGKILL", phase);
    if (party === "server") return;
    const dealer = await started("deal", "--listen", parties.dealer.address);
    expect(await ask({ ...parties, dealer })).toBe(true);
  });
});

// Side by side: each is mostly the wait for the deadline.
describe.concurrent("a process frozen in the middle", () => {
  it.each(CASES)("%s in the %s phase", async (party, phase) => {
    await lost(await services(FROZEN_MS), party, "SIGSTOP", phase);
  });
});

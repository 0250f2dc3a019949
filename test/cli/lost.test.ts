/** Processes that die or freeze in the middle: the client has a clean error by its deadline, and the next one its answer. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectTcp } from "../../src/channels/tcp.ts";
import { Client } from "../../src/parties/client.ts";
import { Ring } from "../../src/ring/ring.ts";
import { type Started, start } from "./started.ts";

/** Of a party that is killed: its peers learn of it at once, so that no deadline may pass before. */
const NEVER_MS = 300_000;
/** Of a party that is frozen: its peers wait that long. Twice as long, and so on, on a machine that is too busy to come to the freezing. */
const FROZEN_MS = 5_000;
const SLOWEST_MS = 300_000;
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

/** Asks, and sends one signal to one party as soon as three parts of a phase are done; the answer or the error, and whether it came to that. */
async function lost(parties: Parties, party: "server" | "dealer", signal: "SIGKILL" | "SIGSTOP", phase: string) {
  let sent = false;
  const outcome = await ask(parties, (at, done) => {
    if (at !== phase || done < 3 || sent) return;
    sent = true;
    parties[party].signal(signal);
  }).catch((error: Error) => error);
  return { sent, outcome };
}

/** The error says who is lost; the dealer's work may have been over by then, or its last bytes on their way. */
function expectLost(party: string, outcome: boolean | Error): void {
  if (outcome instanceof Error) expect(outcome.message).toMatch(/closed the connection|no answer|gave up|lost|refused/);
  else expect([party, outcome]).toEqual(["dealer", true]);
}

/** Freezes one party in the middle; all deadlines are twice as long until it comes to that. */
async function frozen(party: "server" | "dealer", phase: string, deadlineMs = FROZEN_MS): Promise<void> {
  const parties = await services(deadlineMs);
  const { sent, outcome } = await lost(parties, party, "SIGSTOP", phase);
  await Promise.all([parties.dealer, parties.server].map((one) => one.ended("SIGKILL")));
  if (!sent && deadlineMs < SLOWEST_MS) return frozen(party, phase, 2 * deadlineMs);
  expect(sent, String(outcome)).toBe(true);
  expectLost(party, outcome);
}

const CASES = [
  ["server", "offline"],
  ["server", "online"],
  ["dealer", "offline"],
  ["dealer", "online"],
] as const;

describe("a process killed in the middle", () => {
  // Who is left serves whoever is started in the other's place.
  let parties: Parties;
  beforeAll(async () => {
    parties = await services(NEVER_MS);
  });

  it.each(CASES)("%s in the %s phase", async (party, phase) => {
    const { sent, outcome } = await lost(parties, party, "SIGKILL", phase);
    expect(sent, String(outcome)).toBe(true);
    expectLost(party, outcome);
    const { address, ended } = parties[party];
    await ended("SIGKILL");
    const common = ["--listen", address, "--deadline", String(NEVER_MS / 1000)];
    const again =
      party === "dealer"
        ? await started("deal", ...common)
        : await started("serve", "demo", ...common, "--dealer", parties.dealer.address);
    parties = { ...parties, [party]: again };
    expect(await ask(parties)).toBe(true);
  });
});

// Side by side: each is mostly the wait for the deadline.
describe.concurrent("a process frozen in the middle", () => {
  it.each(CASES)("%s in the %s phase", (party, phase) => frozen(party, phase));
});

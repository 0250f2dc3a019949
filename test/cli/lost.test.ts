/** Processes that die or freeze in the middle: the client has a clean error by its deadline, and the next one its answer. */
import { afterEach, describe, expect, it } from "vitest";
import { connectTcp } from "../../src/channels/tcp.ts";
import { Client } from "../../src/parties/client.ts";
import { Ring } from "../../src/ring/ring.ts";
import { type Started, start } from "./started.ts";

const DEADLINE_MS = 1500;
const SLACK_MS = 8000;
const TEXT = "an absolute delight from start to finish";

let running: Started[] = [];
afterEach(async () => {
  for (const one of running) one.signal("SIGCONT");
  await Promise.all(running.map((one) => one.ended("SIGKILL")));
  running = [];
});

async function services() {
  const common = ["--listen", "127.0.0.1:0", "--deadline", String(DEADLINE_MS / 1000)];
  const dealer = await start(["deal", ...common]);
  const server = await start(["serve", "demo", ...common, "--dealer", dealer.address]);
  running.push(dealer, server);
  return { dealer, server };
}

async function ask(server: Started, dealer: Started, onProgress: (phase: "offline" | "online", done: number) => void) {
  const dial = (one: Started, peer: string) =>
    connectTcp("127.0.0.1", Number(one.address.split(":")[1]), { peer, deadlineMs: DEADLINE_MS });
  const client = await Client.connect(await Ring.create(), await dial(server, "server"), {
    connectDealer: () => dial(dealer, "dealer"),
    progress: (phase, done) => onProgress(phase, done),
  });
  const { logits } = await client.infer(client.encode(TEXT));
  await client.close();
  return logits[1] > logits[0];
}

describe("a process lost in the middle", () => {
  it.each([
    ["server", "SIGKILL", "offline"],
    ["server", "SIGSTOP", "offline"],
    ["server", "SIGKILL", "online"],
    ["server", "SIGSTOP", "online"],
    ["dealer", "SIGKILL", "offline"],
    ["dealer", "SIGSTOP", "offline"],
    ["dealer", "SIGKILL", "online"],
    ["dealer", "SIGSTOP", "online"],
  ] as const)("%s, %s in the %s phase", { timeout: 60_000 }, async (party, signal, phase) => {
    const parties = await services();
    let sent = false;
    const started = performance.now();
    const outcome = await ask(parties.server, parties.dealer, (at, done) => {
      if (at !== phase || done < 3 || sent) return;
      sent = true;
      parties[party].signal(signal);
    }).catch((error: Error) => error);
    expect(sent).toBe(true);
    expect(performance.now() - started).toBeLessThan(3 * DEADLINE_MS + SLACK_MS);
    // The dealer's work may be over by then, or its last bytes on their way.
    if (outcome instanceof Error)
      expect(outcome.message).toMatch(/closed the connection|no answer|gave up|lost|refused/);
    else expect([party, outcome]).toEqual(["dealer", true]);
    if (party === "server" || signal === "SIGSTOP") return;
    const again = await start(["deal", "--listen", parties.dealer.address]);
    running.push(again);
    expect(await ask(parties.server, again, () => {})).toBe(true);
  });
});

// Ten times as many as a server has places for, each side a process of its own: how soon who does not fit hears so, while those
// who do are answered. `npm run build && npm run long -- overload [--asks N] [--json]`. The soak has all of them in one process.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { connectTcp } from "../../dist/channels/tcp.js";
import { startParties } from "../../dist/cli/processes.js";
import { Client } from "../../dist/parties/client.js";
import { PROTOCOL_VERSION } from "../../dist/parties/messages.js";
import { Ring } from "../../dist/ring/ring.js";

const SELF = fileURLToPath(import.meta.url);
const [RUNNING, WAITING] = [2, 4];
/** One every so many milliseconds: 60 a second, where six have a place. */
const APART_MS = 17;
const FULL = /are answered and|wait: try again/;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function dial(address, peer) {
  const [host, port] = address.split(":");
  return connectTcp(host, Number(port), { peer, deadlineMs: 60_000 });
}

/** Keeps all places taken, and tells of each answer. */
async function crowd(server, dealer) {
  const ring = await Ring.create();
  const one = async () => {
    const connectDealer = () => dial(dealer, "dealer");
    const client = await Client.connect(ring, await dial(server, "server"), { connectDealer });
    for (;;) console.log((await client.classify("a gripping, funny and beautifully acted film")).label);
  };
  // Whoever is refused comes again.
  const always = async () => {
    for (;;) await one().catch(() => pause(5));
  };
  await Promise.all(Array.from({ length: RUNNING + WAITING }, always));
}

/** Milliseconds from a request to its refusal; null where it was not refused for want of a place. */
async function asked(server) {
  const channel = await dial(server, "server");
  try {
    await channel.sendJson(0, { version: PROTOCOL_VERSION });
    await channel.receiveJson(0, 2 ** 25);
    const began = performance.now();
    await channel.sendJson(0, { request: "run", texts: 1 });
    const { error } = await channel.receiveJson(0);
    return FULL.test(error) ? performance.now() - began : null;
  } finally {
    channel.close();
  }
}

async function main(asks, json) {
  const limits = ["--max-running", String(RUNNING), "--max-waiting", String(WAITING)];
  const parties = await startParties(["demo", "--warm", "16", ...limits]);
  const others = spawn(process.execPath, [SELF, "--crowd", parties.server, parties.dealer], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    let answered = 0;
    const lines = createInterface({ input: others.stdout }).on("line", () => answered++);
    await new Promise((resolve) => lines.once("line", resolve));
    const before = answered;
    const times = await Promise.all(
      Array.from({ length: asks }, (_, i) => pause(APART_MS * i).then(() => asked(parties.server))),
    );
    const refusals = times.filter((ms) => ms !== null).sort((a, b) => a - b);
    const at = (share) => Number(refusals[Math.floor(share * (refusals.length - 1))].toFixed(1));
    const result = {
      asked: asks,
      refused: refusals.length,
      ms: { median: at(0.5), p95: at(0.95), most: at(1) },
      answered_meanwhile: answered - before,
    };
    console.log(json ? JSON.stringify(result) : result);
  } finally {
    others.kill();
    parties.stop();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { asks: { type: "string", default: "300" }, json: { type: "boolean" }, crowd: { type: "boolean" } },
});
if (values.crowd) await crowd(positionals[0], positionals[1]);
else await main(Number(values.asks), values.json);

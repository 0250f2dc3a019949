// What it costs to check what clients open: one model served without a check, with one opening in 16 checked, and with all, side by side
// on this machine; the three are asked in turn, so that what slows the machine slows all of them. Medians of ratios to the unchecked one.
//
//   npm run build && node bench/verify.mjs [--model bert-base] [--length 128] [--rounds 7] [--parts none,16,all] [--gelu exact --softmax exact]
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { floatMatmul } from "../dist/cli/float.js";
import { runJson, startParties } from "../dist/cli/processes.js";
import { openSource, planJson } from "../dist/cli/source.js";
import { randomText } from "../dist/models/catalog.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "bert-base" },
    length: { type: "string", default: "128" },
    rounds: { type: "string", default: "7" },
    parts: { type: "string", default: "none,16,all" },
    gelu: { type: "string", default: "quad" },
    softmax: { type: "string", default: "2quad" },
  },
});
const { model, length, gelu, softmax } = values;
const { spec, plan } = await openSource(model, {
  overrides: { gelu, softmax },
  unplanned: () => {},
  length: Number(length),
  newTokens: 1,
  matmul: await floatMatmul(),
  progress: () => {},
});
const folder = mkdtempSync(join(tmpdir(), "mpcformer-bench-"));
const [ids, planFile] = [join(folder, "ids.json"), join(folder, "plan.json")];
writeFileSync(ids, JSON.stringify([randomText(spec, Number(length), 1)]));
writeFileSync(planFile, planJson(spec, plan));
const flags = ["--plan", planFile, "--warm", length, "--gelu", spec.gelu, "--softmax", spec.softmax];
const shape = ["--embedding", spec.embedding, "--answer", spec.answer];
const parts = values.parts.split(",");
const served = [];
const results = new Map(parts.map((part) => [part, []]));
try {
  for (const part of parts) served.push(await startParties([model, ...flags, ...shape, "--verify", part]));
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [i, part] of parts.entries()) {
      const peers = ["--server", served[i].server, "--dealer", served[i].dealer];
      const all = await runJson(["infer", "--ids", ids, "--runs", "2", ...peers]);
      // The first round, and each client's first run, compile.
      if (round === 0) continue;
      const run = { ...all.at(-1), server: served[i].measured.server.findLast(({ phase }) => phase === "online") };
      results.get(part).push(run);
      console.error(`round ${round}, ${part}: ${run.seconds.online.toFixed(2)} s online`);
    }
  }
} finally {
  for (const parties of served) parties.stop();
  rmSync(folder, { recursive: true, force: true });
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const measures = {
  "online s": (r) => r.seconds.online,
  // What a busy machine does not stretch.
  "server's processor s online": (r) => r.server.cpuSeconds,
  "client's processor s": (r) => r.cpuSeconds.client,
  "offline s": (r) => r.seconds.offline,
  "dealer's MB": (r) => r.bytes.offline.dealer_to_server / 1e6,
  "online MB": (r) => (r.bytes.online.client_to_server + r.bytes.online.server_to_client) / 1e6,
};
const first = results.get(parts[0]);
for (const [name, of] of Object.entries(measures)) {
  for (const part of parts) {
    const own = results.get(part);
    const ratios = own.map((r, i) => of(r) / of(first[i])).sort((a, b) => a - b);
    const [low, high] = [ratios[0], ratios[ratios.length - 1]].map((x) => x.toFixed(2));
    const line = `${name}, --verify ${part}: ${median(own.map(of)).toFixed(2)}, ${median(ratios).toFixed(3)} times`;
    console.log(`${line} (${low} to ${high} in ${ratios.length} rounds)`);
  }
}

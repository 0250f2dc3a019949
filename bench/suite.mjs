// The bench's matrix: models, lengths, batches, networks, stand-ins, kernels. Results with the machine's description go to
// one JSON file; what is there already is not measured again. `npm run build && node bench/suite.mjs --out bench/results/HERE.json`
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { out: { type: "string" }, only: { type: "string", default: "" } } });
if (values.out === undefined) throw new Error("give --out FILE");

const base = { model: "bert-base", length: 128, runs: 5 };
const exact = { gelu: "exact", softmax: "exact" };
const wasm = { kernels: "wasm" };
const cases = {
  base: base,
  "base wasm": { ...base, ...wasm },
  "base exact": { ...base, ...exact },
  "base exact wasm": { ...base, ...exact, ...wasm },
  "base 2 threads": { ...base, threads: 2 },
  "base wasm 2 threads": { ...base, ...wasm, threads: 2 },
  "base avx2": { ...base, kernels: "x86-64-v3" },
  "base lan": { ...base, network: "lan" },
  "base wan": { ...base, network: "wan", runs: 3 },
  "base exact wan": { ...base, ...exact, network: "wan", runs: 3 },
  ...Object.fromEntries([32, 64, 256, 512].map((length) => [`base ${length}`, { ...base, length, runs: 3 }])),
  ...Object.fromEntries(["bert-tiny", "bert-mini", "roberta-base"].map((model) => [model, { ...base, model }])),
  "bert-tiny wasm": { ...base, model: "bert-tiny", ...wasm },
  "bert-large": { ...base, model: "bert-large", runs: 3 },
  ...Object.fromEntries([4, 16].map((batch) => [`mini ×${batch}`, { ...base, model: "bert-mini", batch, runs: 3 }])),
  "mini wan": { ...base, model: "bert-mini", network: "wan", runs: 3 },
  "mini wan ×16": { ...base, model: "bert-mini", network: "wan", batch: 16, runs: 3 },
  ...Object.fromEntries(
    ["quad", "relu", "exact"].flatMap((gelu) =>
      // Not 2linear: the rows of random weights' scores do not stay positive.
      ["2quad", "2relu", "exact"].map((softmax) => [`pair ${gelu}+${softmax}`, { ...base, gelu, softmax, runs: 3 }]),
    ),
  ),
};

const machine = {
  processor: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  memory_gb: Math.round(totalmem() / 2 ** 30),
  node: process.version,
};
const known = existsSync(values.out) ? JSON.parse(readFileSync(values.out, "utf8")) : { machine, results: {} };
for (const [name, { kernels = "", ...options }] of Object.entries(cases)) {
  if (known.results[name] !== undefined || !name.includes(values.only)) continue;
  const { model, ...rest } = options;
  const flags = Object.entries(rest).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  const started = performance.now();
  const text = execFileSync(process.execPath, ["dist/cli/main.js", "bench", model, ...flags, "--json"], {
    encoding: "utf8",
    env: { ...process.env, MPCFORMER_KERNELS: kernels },
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 28,
  });
  const { steps, ...result } = JSON.parse(text);
  known.results[name] = result;
  writeFileSync(values.out, `${JSON.stringify(known, null, 1)}\n`);
  console.error(
    `${name}: ${result.seconds.online.toFixed(3)} s online, ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
}

const r = known.results;
const row = (name, x) => ({
  case: name,
  online: x.seconds.online,
  offline: x.seconds.offline,
  "× matrix": x.seconds.online / x.matrix_seconds,
  "cpu s": x.cpu_seconds.client + x.cpu_seconds.server + x.cpu_seconds.dealer,
  flights: x.online.flights,
  "MB to server": x.online.bytes.client_to_server / 1e6,
  "MB back": x.online.bytes.server_to_client / 1e6,
  "dealer MB": x.offline.bytes.dealer_to_server / 1e6,
  "peak MB": Math.max(...Object.values(x.peak_rss_mb)),
  error: x.max_abs_logit_error,
});
console.table(Object.entries(r).map(([name, x]) => row(name, x)));

/** Least squares through the logarithms: how y grows with x. */
function exponent(points) {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)]);
  const mean = (i) => logs.reduce((sum, p) => sum + p[i], 0) / logs.length;
  const [mx, my] = [mean(0), mean(1)];
  return logs.reduce((s, [x, y]) => s + (x - mx) * (y - my), 0) / logs.reduce((s, [x]) => s + (x - mx) ** 2, 0);
}
const lengths = [
  ["base 32", 32],
  ["base 64", 64],
  ["base", 128],
  ["base 256", 256],
  ["base 512", 512],
].filter(([n]) => r[n]);
const over = (of) => exponent(lengths.map(([name, length]) => [length, of(r[name])])).toFixed(2);
const part = (group) => (x) => x.spent.server[group].compute;
const bytes = (x) => x.online.bytes.client_to_server + x.online.bytes.server_to_client;
if (lengths.length > 2) {
  console.log("exponents in the length, 32 to 512 tokens (BERT-base)");
  for (const group of ["linear", "activation", "norm", "attention", "softmax"])
    console.log(`  server, ${group}: ${over(part(group))}`);
  console.log(`  online: ${over((x) => x.seconds.online)}, bytes online: ${over(bytes)}`);
}
const widths = [
  ["bert-tiny", 128, 2],
  ["bert-mini", 256, 4],
  ["base", 768, 12],
  ["bert-large", 1024, 24],
].filter(([n]) => r[n]);
if (widths.length > 2) {
  const perLayer = (of) => exponent(widths.map(([name, width, layers]) => [width, of(r[name]) / layers])).toFixed(2);
  console.log("exponents in the width, 128 to 1,024, a layer (128 tokens)");
  for (const group of ["linear", "activation", "norm"]) console.log(`  server, ${group}: ${perLayer(part(group))}`);
}

/** `bench`: private inference measured over three processes, where its time and bytes go, and what stand-ins buy. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { list } from "../approximations/registry.ts";
import { compile } from "../compiler/compile.ts";
import { classifier } from "../models/bert.ts";
import { randomText } from "../models/catalog.ts";
import type { Measured, SpentByGroup } from "../parties/meter.ts";
import { isDecoder, type TokenizedText } from "../program/spec.ts";
import { oneTurn, PlanError } from "../program/steps.ts";
import { type Cost, costOf } from "../protocols/cost.ts";
import { FloatOps, type Matmul } from "../reference/float.ts";
import { nativeLevel } from "../ring/native.ts";
import { Ring } from "../ring/ring.ts";
import { generateResult, printGenerate } from "./bench-generate.ts";
import { benchSvg, pairsSvg } from "./bench-report.ts";
import { floatMatmul } from "./float.ts";
import type { MeasuredGeneration } from "./generate.ts";
import { median, sum } from "./numbers.ts";
import { overridesOf, positive } from "./options.ts";
import type { MeasuredRun } from "./parties.ts";
import { costTable, lengthOf, newTokensOf, type PlanOptions, shapeOf } from "./plan.ts";
import { type Parties, runJson, startParties } from "./processes.ts";
import { openSource, planJson, type Source } from "./source.ts";
import { formatBytes, note, Progress, print, printJson, table, UsageError } from "./terminal.ts";

const TEXT_SEED = 7;

/** Round trip in milliseconds, and Mbit/s, by name. */
const NETWORKS: Readonly<Record<string, readonly [number, number]>> = { lan: [0.5, 1000], wan: [80, 100] };

export interface BenchOptions extends PlanOptions {
  readonly batch: string;
  readonly runs: string;
  readonly network: string;
  readonly threads: string;
  readonly pairs?: string;
  readonly svg?: string;
}

/** One pair of stand-ins, medians over the runs; seconds are of one run, bytes and flights as well. */
export interface BenchResult {
  readonly model: string;
  readonly length: number;
  readonly batch: number;
  readonly runs: number;
  readonly network: string;
  /** Of each party. */
  readonly threads: number;
  readonly kernels: string;
  readonly gelu: string;
  readonly softmax: string;
  readonly embedding: string;
  readonly online: { readonly flights: number; readonly bytes: Cost["online"]["bytes"] };
  readonly offline: { readonly bytes: Cost["offline"]["bytes"] };
  readonly setup: { readonly bytes: { readonly server_to_dealer: number; readonly server_to_client: number } };
  readonly seconds: { readonly online: number; readonly offline: number; readonly first_offline: number };
  /** Of the server's matrix products alone, at the speed of its kernels: no protocol with these shapes is faster. */
  readonly matrix_seconds: number;
  /** Online and offline, by party. */
  readonly cpu_seconds: { readonly client: number; readonly server: number; readonly dealer: number };
  readonly spent: { readonly client: SpentByGroup; readonly server: SpentByGroup };
  readonly macs: number;
  readonly steps: Cost["steps"];
  readonly peak_rss_mb: MeasuredRun["peakRssMb"];
  /** How much the peaks rose over the second half of the runs. */
  readonly late_growth_mb: MeasuredRun["peakRssMb"];
  readonly max_abs_logit_error: number;
}

/** Measures one pair of stand-ins, or several beside each other. */
export async function bench(name: string, options: BenchOptions): Promise<void> {
  const { source, matmul } = await opened(name, options);
  if (isDecoder(source.spec)) return benchGenerate(name, options, source, matmul);
  if (options.pairs === undefined) {
    const { result, cost } = await measure(name, options, source, matmul);
    if (options.svg !== undefined) await writeFile(options.svg, benchSvg(result));
    if (options.json) return printJson(result);
    return printResult(result, cost);
  }
  const results: BenchResult[] = [];
  for (const [gelu, softmax] of pairsOf(options.pairs)) {
    if (!options.json) note(`${gelu} + ${softmax}`);
    try {
      const pair = { ...options, gelu, softmax };
      const { source, matmul } = await opened(name, pair);
      results.push((await measure(name, pair, source, matmul)).result);
    } catch (error) {
      // Of all pairs, some do not fit some models.
      if (!(error instanceof PlanError) || options.pairs !== "all") throw error;
      note(`${gelu} + ${softmax} is left out: ${error.message}`);
    }
  }
  if (options.svg !== undefined) await writeFile(options.svg, pairsSvg(results));
  if (options.json) return printJson(results);
  print(pairsTable(results));
}

function pairsOf(pairs: string): (readonly [string, string])[] {
  if (pairs === "all") return list("gelu").flatMap((g) => list("softmax").map((s) => [g.name, s.name] as const));
  return pairs.split(",").map((pair) => {
    const [gelu, softmax] = pair.split("+");
    if (softmax === undefined) throw new UsageError("--pairs takes all, or pairs such as quad+2quad,exact+exact");
    return [gelu, softmax] as const;
  });
}

/** The hidden option that makes both ends' channel as slow as the network. @throws UsageError */
function linkFlags(network: string): string[] {
  if (network === "loopback") return [];
  const [roundTrip, megabits] = NETWORKS[network] ?? network.split(",").map(Number);
  if (!(roundTrip >= 0 && megabits > 0))
    throw new UsageError("--network takes loopback, lan, wan, or round-trip milliseconds,Mbit/s such as 20,300");
  return ["--link", `${roundTrip / 2},${megabits}`];
}

async function opened(name: string, options: BenchOptions): Promise<{ source: Source; matmul: Matmul }> {
  const progress = new Progress(options.json ?? false);
  const matmul = await floatMatmul();
  const source = await openSource(name, {
    overrides: overridesOf(options),
    calibration: options.calibrate,
    length: Number(options.length),
    newTokens: newTokensOf(options),
    matmul,
    progress: progress.of("calibrating"),
  });
  progress.stop();
  return { source, matmul };
}

async function benchGenerate(name: string, options: BenchOptions, source: Source, matmul: Matmul): Promise<void> {
  if (options.pairs !== undefined || options.svg !== undefined || Number(options.batch) !== 1)
    throw new UsageError("--pairs, --svg and --batch are for models that classify texts");
  const [runs, threads] = [positive(options.runs, "--runs"), positive(options.threads, "--threads")];
  const shape = shapeOf(options, source.spec);
  const text = randomText(source.spec, shape.length, TEXT_SEED);
  if (!options.json) note("starting dealer and server, and running");
  const command = ["generate", "--max-tokens", String(shape.turns)];
  const link = linkFlags(options.network);
  const { all } = await run<MeasuredGeneration>(command, name, source, [text], runs + 1, link, options.threads);
  const { network } = options;
  const { result, cost } = generateResult({ name, source, shape, text, network, threads, matmul, all });
  if (options.json) printJson(result);
  else printGenerate(result, cost, source);
}

async function measure(
  name: string,
  options: BenchOptions,
  source: Source,
  matmul: Matmul,
): Promise<{ result: BenchResult; cost: Cost }> {
  const [batch, runs] = [positive(options.batch, "--batch"), positive(options.runs, "--runs")];
  const threads = positive(options.threads, "--threads");
  const link = linkFlags(options.network);
  const { spec } = source;
  const length = lengthOf(options, spec);
  const cost = costOf(compile(spec, source.plan, oneTurn(length)));
  const texts = Array.from({ length: batch }, (_, i) => randomText(spec, length, TEXT_SEED + i));
  const expected = texts.map((text) => {
    const logits = classifier(new FloatOps(source.weights, text, length, { matmul }), spec).data;
    return spec.answer === "label" ? [logits.indexOf(Math.max(...logits))] : [...logits];
  });
  if (!options.json) note("starting dealer and server, and running");
  const { measured, all } = await run<MeasuredRun>(["infer"], name, source, texts, runs + 1, link, options.threads);
  // The first run also brings the weights and tables: it counts as setup.
  const [first, ...rest] = all;
  const online = measured.server.filter((m) => m.phase === "online").slice(1);
  const result: BenchResult = {
    model: name,
    length,
    batch,
    runs,
    network: options.network,
    threads,
    kernels: nativeLevel ?? "wasm",
    gelu: spec.gelu,
    softmax: spec.softmax,
    embedding: spec.embedding,
    online: { flights: first.flights, bytes: rest[0].bytes.online },
    offline: { bytes: rest[0].bytes.offline },
    setup: { bytes: first.bytes.setup },
    seconds: {
      online: median(rest.map((r) => r.seconds.online)),
      offline: median(rest.map((r) => r.seconds.offline)),
      first_offline: first.seconds.offline,
    },
    matrix_seconds: await matrixSeconds(cost, batch, threads),
    cpu_seconds: cpuSeconds(rest, measured, batch),
    spent: { client: medians(rest.map((r) => r.spent)), server: medians(online.map((m) => m.spent ?? {})) },
    macs: batch * cost.macs,
    steps: cost.steps,
    peak_rss_mb: all[runs].peakRssMb,
    late_growth_mb: growth(all[Math.ceil(runs / 2)].peakRssMb, all[runs].peakRssMb),
    max_abs_logit_error: Math.max(
      ...all.flatMap((r) => r.logits.flatMap((row, i) => row.map((x, j) => Math.abs(x - expected[i][j])))),
    ),
  };
  return { result, cost };
}

/** Processor time of a run by party, offline and online: each text has its own session with the dealer. */
function cpuSeconds(
  runs: readonly MeasuredRun[],
  { server, dealer }: Parties["measured"],
  batch: number,
): BenchResult["cpu_seconds"] {
  const sessions = (phases: readonly Measured[]) =>
    runs.map((_, i) => sum(phases.slice(batch * (i + 1), batch * (i + 2)), (m) => m.cpuSeconds));
  const offline = sessions(server.filter((m) => m.phase === "offline"));
  const online = server.filter((m) => m.phase === "online").slice(1);
  return {
    client: median(runs.map((r) => r.cpuSeconds.client)),
    server: median(online.map((m, i) => m.cpuSeconds + offline[i])),
    dealer: median(sessions(dealer)),
  };
}

/** Runs a command of the client's so many times against a server and a dealer of its own. */
async function run<R>(
  command: readonly string[],
  name: string,
  { spec, plan }: Source,
  texts: readonly TokenizedText[],
  runs: number,
  link: readonly string[],
  threads: string,
): Promise<{ all: readonly R[]; measured: Parties["measured"] }> {
  const folder = await mkdtemp(join(tmpdir(), "mpcformer-bench-"));
  try {
    const [planFile, idsFile] = [join(folder, "plan.json"), join(folder, "ids.json")];
    await writeFile(planFile, planJson(spec, plan));
    await writeFile(idsFile, JSON.stringify(texts));
    const length = String(texts[0].ids.length);
    const flags = ["--plan", planFile, "--warm", length, "--gelu", spec.gelu, "--softmax", spec.softmax];
    const parties = await startParties(
      [name, ...flags, "--embedding", spec.embedding, "--answer", spec.answer, ...link],
      threads,
    );
    try {
      const peers = ["--server", parties.server, "--dealer", parties.dealer, ...link, "--threads", threads];
      const all = (await runJson([...command, "--ids", idsFile, "--runs", String(runs), ...peers])) as R[];
      return { all, measured: parties.measured };
    } finally {
      parties.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The server's online products, one step's shape after the other, on this machine's kernels: the best of three passes. */
async function matrixSeconds(cost: Cost, batch: number, threads: number): Promise<number> {
  const ring = await Ring.create({ threads });
  const seconds = cost.products.map(({ m, k, n, times, narrow }) => {
    const [a, b, out] = [m * k, k * n, m * n].map((size) => {
      const words = ring.alloc(size);
      ring.zero(words);
      return words;
    });
    const packed = narrow
      ? ring.packWeights(
          Int16Array.from({ length: k * n }, (_, i) => (i % 4096) - 2048),
          k,
          n,
        )
      : null;
    let best = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < 3; pass++) {
      const started = performance.now();
      if (packed) ring.matmulNarrow(out, a, packed, m);
      else ring.matmul(out, a, b, m, k, n);
      best = Math.min(best, (performance.now() - started) / 1000);
    }
    for (const words of [a, b, out]) ring.free(words);
    if (packed) ring.freeWeights(packed);
    return best * times;
  });
  return batch * sum(seconds, (s) => s);
}

function growth(from: MeasuredRun["peakRssMb"], to: MeasuredRun["peakRssMb"]): MeasuredRun["peakRssMb"] {
  return { client: to.client - from.client, server: to.server - from.server, dealer: to.dealer - from.dealer };
}

/** The median of each number. */
function medians(all: readonly SpentByGroup[]): SpentByGroup {
  const groups = [...new Set(all.flatMap((spent) => Object.keys(spent)))];
  const of = (group: string, what: "compute" | "waiting") => median(all.map((s) => s[group]?.[what] ?? 0));
  return Object.fromEntries(groups.map((g) => [g, { compute: of(g, "compute"), waiting: of(g, "waiting") }]));
}

function printResult(r: BenchResult, cost: Cost): void {
  print(
    `${r.model}, ${r.length} tokens${r.batch > 1 ? ` × ${r.batch} texts` : ""}, GeLU ${r.gelu}, softmax ${r.softmax}, embedding ${r.embedding}, ${r.network}, kernels ${r.kernels}, ${r.threads} ${r.threads === 1 ? "thread" : "threads"} a party`,
  );
  print();
  print(costTable(cost));
  print();
  print(spentTable(r));
  print();
  const cpu = r.cpu_seconds;
  print(
    `online ${r.seconds.online.toFixed(2)} s in ${r.online.flights} flights (median of ${r.runs}): ${(r.seconds.online / r.matrix_seconds).toFixed(1)} times the server's matrix products (${r.matrix_seconds.toFixed(2)} s)`,
  );
  print(
    `offline ${r.seconds.offline.toFixed(2)} s; the first, with weights and tables, ${r.seconds.first_offline.toFixed(2)} s`,
  );
  print(
    `processor time, online and offline: ${(cpu.client + cpu.server + cpu.dealer).toFixed(2)} s (client ${cpu.client.toFixed(2)}, server ${cpu.server.toFixed(2)}, dealer ${cpu.dealer.toFixed(2)})`,
  );
  print(
    `bytes online: ${formatBytes(r.online.bytes.client_to_server)} to the server, ${formatBytes(r.online.bytes.server_to_client)} back; offline: ${formatBytes(r.offline.bytes.dealer_to_server)} dealer to server, ${formatBytes(r.offline.bytes.client_to_server)} client to server`,
  );
  const { client, server, dealer } = r.peak_rss_mb;
  const late = r.late_growth_mb;
  print(
    `peak memory: client ${client} MB, server ${server} MB, dealer ${dealer} MB; in the second half of the runs it rose by ${Math.max(late.client, late.server, late.dealer)} MB`,
  );
  print(`largest logit error against floats: ${r.max_abs_logit_error.toFixed(5)}`);
}

/** Milliseconds online by kind of work. */
function spentTable({ spent }: BenchResult): string {
  const ms = (x: number | undefined) => `${(x ?? 0).toFixed(0)} ms`;
  const groups = [...new Set([...Object.keys(spent.server), ...Object.keys(spent.client)])];
  const row = (name: string, of: (s: SpentByGroup, what: "compute" | "waiting") => number) => [
    name,
    ...(["server", "client"] as const).flatMap((p) => [ms(of(spent[p], "compute")), ms(of(spent[p], "waiting"))]),
  ];
  return table([
    ["online", "server computes", "server waits", "client computes", "client waits"],
    ...groups.map((g) => row(g, (s, what) => s[g]?.[what] ?? 0)),
    row("all", (s, what) => sum(Object.values(s), (x) => x[what])),
  ]);
}

function pairsTable(results: readonly BenchResult[]): string {
  const whole = (r: BenchResult) => r.seconds.online + r.seconds.offline;
  const exact = results.find((r) => r.gelu === "exact" && r.softmax === "exact");
  const times = (r: BenchResult, of: (r: BenchResult) => number) =>
    exact === undefined ? "" : (of(exact) / of(r)).toFixed(2);
  const rows = results.map((r) => [
    `${r.gelu} + ${r.softmax}`,
    `${r.seconds.online.toFixed(2)} s`,
    `${r.seconds.offline.toFixed(2)} s`,
    times(r, (x) => x.seconds.online),
    times(r, whole),
    String(r.online.flights),
    formatBytes(r.online.bytes.client_to_server + r.online.bytes.server_to_client),
    formatBytes(r.offline.bytes.dealer_to_server),
    r.max_abs_logit_error.toFixed(4),
  ]);
  const head = ["GeLU + softmax", "online", "offline", "speed-up online", "speed-up in all", "flights"];
  return table([[...head, "bytes online", "dealer's bytes", "logit error"], ...rows]);
}

/** `bench` of a model that classifies: texts measured over three processes, and what stand-ins buy. */
import { platform } from "#platform";
import { compile } from "../compiler/compile.ts";
import { randomText } from "../models/catalog.ts";
import { logitsOf } from "../models/model.ts";
import type { Measured, SpentByGroup } from "../parties/meter.ts";
import { oneTurn } from "../program/steps.ts";
import { type Cost, costOf } from "../protocols/cost.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { Ring } from "../ring/ring.ts";
import { linkFlags, run } from "./bench-run.ts";
import type { MeasuredRun } from "./client.ts";
import { costTable, lengthOf, type PlanOptions } from "./costs.ts";
import { formatBytes, table } from "./format.ts";
import { median, sum } from "./numbers.ts";
import type { Parties } from "./processes.ts";
import { Progress } from "./progress.ts";
import type { Source } from "./source.ts";
import { print } from "./terminal.ts";

/** Of the random texts that are measured. */
export const TEXT_SEED = 7;

export interface BenchOptions extends PlanOptions {
  readonly batch: number;
  readonly runs: number;
  readonly network: string;
  readonly threads: number;
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

/** Measures one pair of stand-ins. @throws UsageError for a length beyond the model's. */
export async function measure(
  name: string,
  options: BenchOptions,
  source: Source,
  matmul: Matmul,
): Promise<{ result: BenchResult; cost: Cost }> {
  const { batch, runs, threads } = options;
  const link = linkFlags(options.network);
  const { spec } = source;
  const length = lengthOf(options, spec);
  const cost = costOf(compile(spec, source.plan, oneTurn(length)));
  const texts = Array.from({ length: batch }, (_, i) => randomText(spec, length, TEXT_SEED + i));
  const expected = texts.map((text) => {
    const logits = logitsOf(new FloatOps(source.weights, text, length, { matmul }), spec).data;
    return spec.answer === "label" ? [logits.indexOf(Math.max(...logits))] : [...logits];
  });
  const progress = new Progress(options.json ?? false);
  const { measured, all } = await run<MeasuredRun>(
    ["infer"],
    name,
    source,
    texts,
    runs + 1,
    link,
    threads,
    progress.of("running"),
  );
  progress.stop();
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
    kernels: platform.native?.level ?? "wasm",
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

/** The server's online products, one step's shape after the other, on this machine's kernels: the best of three passes. */
async function matrixSeconds(cost: Cost, batch: number, threads: number): Promise<number> {
  const ring = await Ring.create({ threads });
  const seconds = cost.products.map(({ m, k, n, times, narrow, bits }) => {
    const [a, b, out] = [m * k, k * n, m * n].map((size) => {
      const words = ring.alloc(size);
      ring.zero(words);
      return words;
    });
    const packed = narrow
      ? ring.products.packWeights(
          Int16Array.from({ length: k * n }, (_, i) => (i % 4096) - 2048),
          k,
          n,
        )
      : null;
    let best = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass < 3; pass++) {
      const started = performance.now();
      if (packed) ring.products.matmulNarrow(out, a, packed, m, false, bits);
      else ring.products.matmul(out, a, b, m, k, n, false, bits);
      best = Math.min(best, (performance.now() - started) / 1000);
    }
    for (const words of [a, b, out]) ring.free(words);
    if (packed) ring.products.freeWeights(packed);
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

export function printResult(r: BenchResult, cost: Cost): void {
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

export function pairsTable(results: readonly BenchResult[]): string {
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

/** `bench` of a decoder: a text, and token by token what comes behind it, measured over three processes. */
import { platform } from "#platform";
import { compile } from "../compiler/compile.ts";
import { greedyTokens } from "../models/greedy.ts";
import type { TokenizedText } from "../program/spec.ts";
import type { Shape } from "../program/steps.ts";
import { type Cost, costOf, type OnlineCost } from "../protocols/cost.ts";
import type { Matmul } from "../reference/matmul.ts";
import type { MeasuredGeneration } from "./continuation.ts";
import { BENCH_BOUNDS, costTable, sizeOf, standInsOf } from "./costs.ts";
import { formatBytes } from "./format.ts";
import { median } from "./numbers.ts";
import type { Source } from "./source.ts";
import { print } from "./terminal.ts";

/** Medians over the runs; seconds of one run. */
export interface GenerateBenchResult {
  readonly model: string;
  readonly length: number;
  readonly new_tokens: number;
  readonly runs: number;
  readonly network: string;
  readonly threads: number;
  readonly kernels: string;
  readonly gelu: string;
  readonly softmax: string;
  readonly embedding: string;
  /** Online: the text with its first token, and each later token. */
  readonly prompt: OnlineCost & { readonly seconds: number };
  readonly token: OnlineCost & { readonly seconds: number };
  readonly offline: {
    readonly seconds: number;
    readonly seconds_per_token: number;
    readonly first_seconds: number;
    readonly bytes: Cost["offline"]["bytes"];
  };
  readonly client_cpu_seconds: number;
  readonly peak_rss_mb: MeasuredGeneration["peakRssMb"];
  /** New tokens that are those of the same weights in floats, of how many. */
  readonly equal_tokens: number;
}

/** What others have published, each with its hardware: other models, protocols and promises, so for orientation alone. */
const PUBLISHED = [
  "SIGMA (PoPETs 2024, two parties and a dealer, GPUs): GPT-2, one forward pass, 1.6 s; Llama-2-13B 44 s",
  "PUMA (arXiv:2307.12533, three parties, many-core servers): Llama-7B, one token, about 5 minutes",
];

export interface GenerateBenchInputs {
  readonly name: string;
  readonly source: Source;
  readonly shape: Shape;
  readonly text: TokenizedText;
  readonly network: string;
  readonly threads: number;
  readonly matmul: Matmul;
  /** All runs; the first one also brings weights and tables. */
  readonly all: readonly MeasuredGeneration[];
}

/** The result of measured runs. */
export function generateResult(inputs: GenerateBenchInputs): { result: GenerateBenchResult; cost: Cost } {
  const { name, source, shape, network, threads, all } = inputs;
  const { spec } = source;
  const cost = costOf(compile(spec, source.plan, shape, BENCH_BOUNDS));
  const [first, ...rest] = all;
  const [prompt, token = prompt] = cost.turns;
  const offline = median(rest.map((r) => r.seconds.offline));
  const each = rest.flatMap(({ secondsToToken }) => secondsToToken.slice(1).map((at, i) => at - secondsToToken[i]));
  const expected = greedyTokens(spec, source.weights, inputs.text, shape.turns, inputs.matmul);
  const result: GenerateBenchResult = {
    model: name,
    length: shape.length,
    new_tokens: shape.turns,
    runs: rest.length,
    network,
    threads,
    kernels: platform.native?.level ?? "wasm",
    gelu: spec.gelu,
    softmax: spec.softmax,
    embedding: spec.embedding,
    prompt: { ...prompt, seconds: median(rest.map((r) => r.secondsToToken[0])) },
    token: { ...token, seconds: each.length === 0 ? 0 : median(each) },
    offline: {
      seconds: offline,
      seconds_per_token: offline / shape.turns,
      first_seconds: first.seconds.offline,
      bytes: cost.offline.bytes,
    },
    client_cpu_seconds: median(rest.map((r) => r.cpuSeconds.client)),
    peak_rss_mb: all[all.length - 1].peakRssMb,
    equal_tokens: first.ids.filter((id, i) => id === expected[i]).length,
  };
  return { result, cost };
}

export function printGenerate(r: GenerateBenchResult, cost: Cost, source: Source): void {
  const threads = `${r.threads} ${r.threads === 1 ? "thread" : "threads"} a party`;
  print(
    `${r.model}, ${sizeOf(cost.shape)}, ${standInsOf(source.spec)}, embedding ${r.embedding}, ${r.network}, kernels ${r.kernels}, ${threads}`,
  );
  print();
  print(costTable(cost));
  print();
  const line = ({ seconds, flights, bytes }: GenerateBenchResult["prompt"]) =>
    `${seconds.toFixed(3)} s online, ${flights} flights, ${formatBytes(bytes.client_to_server)} to the server, ${formatBytes(bytes.server_to_client)} back`;
  print(`the text and its first token: ${line(r.prompt)} (median of ${r.runs})`);
  print(`each later token: ${line(r.token)}`);
  print(
    `offline ${r.offline.seconds.toFixed(2)} s, ${r.offline.seconds_per_token.toFixed(2)} s a token; the first, with weights and tables, ${r.offline.first_seconds.toFixed(2)} s; ${formatBytes(r.offline.bytes.dealer_to_server)} dealer to server`,
  );
  const { client, server, dealer } = r.peak_rss_mb;
  print(`peak memory: client ${client} MB, server ${server} MB, dealer ${dealer} MB`);
  print(`tokens equal to those of floats: ${r.equal_tokens} of ${r.new_tokens}`);
  print();
  print("published by others:");
  for (const published of PUBLISHED) print(`  ${published}`);
}

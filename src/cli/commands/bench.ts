/** `bench`: private inference measured over three processes, where its time and bytes go, and what stand-ins buy. */
import type { Command } from "commander";
import { list } from "../../approximations/registry.ts";
import { randomText } from "../../models/catalog.ts";
import { isDecoder } from "../../program/spec.ts";
import { PlanError } from "../../program/steps.ts";
import type { Matmul } from "../../reference/matmul.ts";
import { type BenchOptions, type BenchResult, measure, pairsTable, printResult, TEXT_SEED } from "../bench-classify.ts";
import { generateResult, printGenerate } from "../bench-generate.ts";
import { linkFlags, run } from "../bench-run.ts";
import { writeChart } from "../charts.ts";
import type { MeasuredGeneration } from "../continuation.ts";
import { openPriced, shapeOf, size } from "../costs.ts";
import { UsageError } from "../failure.ts";
import { approximate, output, SHAPE } from "../options.ts";
import { Progress } from "../progress.ts";
import type { Source } from "../source.ts";
import { note, print, printJson } from "../terminal.ts";
import { whole } from "../values.ts";

/** How far a logit may be off: fixed point costs a hundredth; a value that leaves its range costs units. */
const MOST_LOGIT_ERROR = 0.25;

export function addBench(program: Command): void {
  const command = program
    .command("bench")
    .description("the same, measured over three processes on this machine: where the time and the bytes go")
    .argument("<model>", SHAPE);
  size(command)
    .addOption(whole("--batch <n>", "texts that run side by side and share flights").default(1))
    .addOption(whole("--runs <n>", "runs after a first one; medians are told").default(5))
    .option("--network <name>", "loopback, lan, wan, or round-trip milliseconds,Mbit/s", "loopback")
    .addOption(whole("--threads <n>", "threads of each party").default(1))
    .option("--pairs <list>", "compare pairs of approximations: all, or such as quad+2quad,exact+exact")
    .option("--svg <file>", "draw it");
  output(approximate(command)).action(bench);
}

/** Measures one pair of stand-ins, or several beside each other. */
async function bench(name: string, options: BenchOptions): Promise<void> {
  const { source, matmul } = await openPriced(name, options);
  if (isDecoder(source.spec)) return benchGenerate(name, options, source, matmul);
  if (options.pairs === undefined) {
    const { result, cost } = await measure(name, options, source, matmul);
    if (options.svg !== undefined) await writeChart(options.svg, ({ benchSvg }) => benchSvg(result));
    if (options.json) printJson(result);
    else printResult(result, cost);
    return tellWrong([result]);
  }
  const results: BenchResult[] = [];
  for (const [gelu, softmax] of pairsOf(options.pairs)) {
    if (!options.json) note(`${gelu} + ${softmax}`);
    try {
      const pair = { ...options, gelu, softmax };
      const { source, matmul } = await openPriced(name, pair);
      results.push((await measure(name, pair, source, matmul)).result);
    } catch (error) {
      // Of all pairs, some do not fit some models.
      if (!(error instanceof PlanError) || options.pairs !== "all") throw error;
      note(`${gelu} + ${softmax} is left out: ${error.message}`);
    }
  }
  if (options.svg !== undefined) await writeChart(options.svg, ({ pairsSvg }) => pairsSvg(results));
  if (options.json) printJson(results);
  else print(pairsTable(results));
  tellWrong(results);
}

/** Says which answers are not the model's: what they cost stands, as it depends on no value, and how exact they are does not. */
function tellWrong(results: readonly BenchResult[]): void {
  for (const r of results.filter((r) => !(r.max_abs_logit_error <= MOST_LOGIT_ERROR)))
    note(
      `${r.gelu} + ${r.softmax}: the answers are off by ${r.max_abs_logit_error.toFixed(2)}, as values left the plan's ranges: the bench's random texts are not like those of calibration`,
    );
}

function pairsOf(pairs: string): (readonly [string, string])[] {
  if (pairs === "all") return list("gelu").flatMap((g) => list("softmax").map((s) => [g.name, s.name] as const));
  return pairs.split(",").map((pair) => {
    const [gelu, softmax] = pair.split("+");
    if (softmax === undefined) throw new UsageError("--pairs takes all, or pairs such as quad+2quad,exact+exact");
    return [gelu, softmax] as const;
  });
}

async function benchGenerate(name: string, options: BenchOptions, source: Source, matmul: Matmul): Promise<void> {
  if (options.pairs !== undefined || options.svg !== undefined || options.batch !== 1)
    throw new UsageError("--pairs, --svg and --batch are for models that classify texts");
  const { runs, threads, network } = options;
  const shape = shapeOf(options, source.spec);
  const text = randomText(source.spec, shape.length, TEXT_SEED);
  const progress = new Progress(options.json ?? false);
  const command = ["generate", "--max-tokens", String(shape.turns)];
  const link = linkFlags(network);
  const { all } = await run<MeasuredGeneration>(
    command,
    name,
    source,
    [text],
    runs + 1,
    link,
    threads,
    progress.of("running"),
  );
  progress.stop();
  const { result, cost } = generateResult({ name, source, shape, text, network, threads, matmul, all });
  if (options.json) printJson(result);
  else printGenerate(result, cost, source);
}

/** `evaluate`: accuracy on labelled texts, in the clear or under MPC. */
import { setImmediate } from "node:timers/promises";
import type { Command } from "commander";
import { logitsOf } from "../../models/model.ts";
import type { Client } from "../../parties/client.ts";
import { bucketFor } from "../../program/lengths.ts";
import { isDecoder, type ModelSpec, type TokenizedText } from "../../program/spec.ts";
import { FloatOps } from "../../reference/float.ts";
import type { Matmul } from "../../reference/matmul.ts";
import { Ring } from "../../ring/ring.ts";
import { openClient } from "../client.ts";
import { floatMatmul } from "../float.ts";
import { judgedOf, type Logits } from "../judged.ts";
import { approximate, isQuiet, MODEL, modelFlags, outputWithProgress, overridesOf, task } from "../options.ts";
import { type EvaluateOptions, evaluateDecoder } from "../perplexity.ts";
import { startParties } from "../processes.ts";
import { Progress } from "../progress.ts";
import { inFixedPoint } from "../ranges.ts";
import { openModel, type Source } from "../source.ts";
import { print, printJson, warn } from "../terminal.ts";
import { whole } from "../values.ts";

export function addEvaluate(program: Command): void {
  const command = program
    .command("evaluate")
    .description("accuracy on labelled texts, in the clear or under MPC")
    .argument("<model>", MODEL)
    .requiredOption(
      "--data <file>",
      "what is right for each text: TSV, CSV or JSONL with a text and a label; of entities CoNLL's columns, of questions JSONL",
    )
    .addOption(task())
    .option("--private", "run every text privately, over three processes")
    .addOption(whole("--limit <n>", "only the first so many texts"))
    .option("--no-range-check", "do not look for texts beyond the plan's ranges, which takes a run in fixed point");
  outputWithProgress(approximate(command)).action(evaluate);
}

const MOST_WARNINGS = 5;

/** Accuracy (correlation for regressions) of a model on labelled texts. */
async function evaluate(name: string, options: EvaluateOptions): Promise<void> {
  const progress = new Progress(isQuiet(options));
  const matmul = await floatMatmul();
  const source = await openModel(name, {
    overrides: overridesOf(options),
    // In the clear ranges only tell which texts are beyond them.
    unplanned: options.private ? undefined : options.rangeCheck === false ? () => {} : warn,
    calibration: options.calibrate,
    matmul,
    progress: progress.of("calibrating"),
  });
  const { spec, tokenizer } = source;
  if (isDecoder(spec)) return evaluateDecoder(name, options, source, matmul, progress);
  const judged = await judgedOf({ spec, tokenizer }, options);
  const { texts } = judged;
  const clear = await inTheClear(source, texts, matmul, progress);
  const checks = options.rangeCheck ?? true;
  const fixed = checks ? await inFixedPoint(source, texts, await Ring.create(), progress.of("in fixed point")) : null;
  const outside = fixed?.outside ?? null;
  const hidden = options.private ? await underMpc(name, options, texts, progress) : null;
  progress.stop();
  const [values, clearValues] = [judged.measure(hidden ?? clear), judged.measure(clear)];
  const [metric] = Object.keys(values);
  const result = {
    metric,
    value: values[metric],
    metrics: values,
    texts: texts.length,
    ...(fixed === null ? {} : { outside_range: fixed.outside.length }),
    ...(fixed === null || spec.answer === "label"
      ? {}
      : { fixed_metrics: judged.measure(fixed.logits), ...fixedLeast(judged.alike(fixed.logits, clear)) }),
    ...(hidden === null
      ? {}
      : {
          ...judged.alike(hidden, clear),
          ...(spec.answer === "label" ? {} : { max_abs_logit_error: worst(hidden, clear) }),
          clear_value: clearValues[metric],
          clear_metrics: clearValues,
        }),
  };
  for (const { index, label, name, excess } of outside?.slice(0, MOST_WARNINGS) ?? []) {
    warn(
      `${options.data}, line ${judged.lines[index]}: "${name}" at ${label} is ${excess.toFixed(1)} times beyond the plan: calibrate on texts like it`,
    );
  }
  if (options.json) return printJson(result);
  const shown = Object.entries(values).map(([name, value]) => `${name}: ${value.toFixed(4)}`);
  if (result.fixed_least_cosine !== undefined)
    print(`least cosine of fixed point and clear: ${result.fixed_least_cosine.toFixed(6)}`);
  print(`${shown.join(", ")} on ${texts.length} texts${hidden === null ? " in the clear" : " under MPC"}`);
  if (result.agreement !== undefined) {
    print(`in the clear: ${result.clear_value!.toFixed(4)}; answers equal: ${(100 * result.agreement).toFixed(2)}%`);
    if (result.least_cosine !== undefined)
      print(`least cosine of private and clear: ${result.least_cosine.toFixed(6)}`);
    if (result.max_abs_logit_error !== undefined)
      print(`largest logit error: ${result.max_abs_logit_error.toFixed(5)}`);
  }
}

function fixedLeast({ least_cosine }: { readonly least_cosine?: number }): { readonly fixed_least_cosine?: number } {
  return least_cosine === undefined ? {} : { fixed_least_cosine: least_cosine };
}

async function inTheClear(
  source: Source,
  texts: readonly TokenizedText[],
  matmul: Matmul,
  progress: Progress,
): Promise<Logits[]> {
  const step = progress.of("in the clear");
  const all: Logits[] = [];
  for (const text of texts) {
    const logits = logitsOf(new FloatOps(source.weights, text, text.ids.length, { matmul }), source.spec).data;
    all.push([...logits]);
    step(all.length, texts.length);
    await setImmediate(); // the bar's timer
  }
  return all;
}

/** One makes its material while the other runs. */
const CLIENTS = 2;
/** Tokens of a run, about: more share its flights, and hold more material in memory. */
const RUN_TOKENS = 256;

async function underMpc(
  name: string,
  options: EvaluateOptions,
  texts: readonly TokenizedText[],
  progress: Progress,
): Promise<Logits[]> {
  const parties = await startParties([name, ...modelFlags(options)]);
  const clients: Client[] = [];
  try {
    const connection = { ...parties, json: true };
    for (let i = 0; i < CLIENTS; i++) clients.push(await openClient(connection, new Progress(true)));
    const step = progress.of("under MPC");
    const logits: Logits[] = [];
    const runs = sideBySide(texts, clients[0].limit);
    let done = 0;
    let found: unknown = null;
    const work = async (client: Client) => {
      for (let run = runs.shift(); run !== undefined; run = runs.shift()) {
        const answers = await client.inferAll(run.map((i) => texts[i])).catch((error: unknown) => {
          // Void: told behind all runs, so that a server does not see which answer was.
          if (client.closed) throw error;
          found ??= error;
          return null;
        });
        if (answers !== null)
          run.forEach((i, at) => {
            logits[i] = asLogits(client.spec, answers.logits[at]);
          });
        done += run.length;
        step(done, texts.length);
      }
    };
    await Promise.all(clients.map(work));
    if (found !== null) throw found;
    return logits;
  } finally {
    for (const client of clients) await client.close();
    parties.stop();
  }
}

/** Texts of one padded length in runs that share flights: their places in `texts`. */
function sideBySide(texts: readonly TokenizedText[], limit: number): number[][] {
  const open = new Map<number, number[]>();
  const runs: number[][] = [];
  texts.forEach((text, i) => {
    const length = bucketFor(text.ids.length, limit);
    const run = open.get(length) ?? [];
    if (run.length === 0) runs.push(run);
    run.push(i);
    open.set(length, run.length < RUN_TOKENS / length ? run : []);
  });
  return runs;
}

/** A label alone counts as the logits that choose it. */
function asLogits(spec: ModelSpec, answer: Logits): Logits {
  return spec.answer === "label" ? Array.from({ length: spec.labels }, (_, i) => (i === answer[0] ? 1 : 0)) : answer;
}

function worst(a: readonly Logits[], b: readonly Logits[]): number {
  return Math.max(...a.map((row, i) => Math.max(...row.map((x, j) => Math.abs(x - b[i][j])))));
}

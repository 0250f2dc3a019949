/** `evaluate` of a decoder: how well it foretells texts, in the clear and under MPC. */
import { setImmediate } from "node:timers/promises";
import { logLikelihood, perplexityOf } from "../distill/perplexity.ts";
import { logitsOf } from "../models/model.ts";
import type { Client } from "../parties/client.ts";
import { BUCKETS } from "../program/lengths.ts";
import { longestText, type TokenizedText } from "../program/spec.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { Ring } from "../ring/ring.ts";
import { winner } from "../tasks/metrics.ts";
import { eachRow, readNumberedTexts } from "../tasks/tables.ts";
import { openClient } from "./client.ts";
import { UsageError } from "./failure.ts";
import { DEADLINE_SECONDS, type ModelOptions, modelFlags, type OutputOptions } from "./options.ts";
import { startParties } from "./processes.ts";
import { Progress } from "./progress.ts";
import { inFixedPoint } from "./ranges.ts";
import type { ModelSource } from "./source.ts";
import { print, printJson, warn } from "./terminal.ts";

export interface EvaluateOptions extends ModelOptions, OutputOptions {
  readonly data: string;
  readonly task?: string;
  readonly private?: boolean;
  readonly limit?: number;
  /** False: the texts are not run in fixed point to find those beyond the plan's ranges. */
  readonly rangeCheck?: boolean;
}

/** The logits of every token of a text, one row behind the other. */
export type Rows = Float32Array;

/** Perplexity on plain texts, one a line. */
export async function evaluateDecoder(
  name: string,
  options: EvaluateOptions,
  source: ModelSource,
  matmul: Matmul,
  progress: Progress,
): Promise<void> {
  if (options.task !== undefined) throw new UsageError("--task is for models that classify texts");
  const texts = await textsOf(source, options);
  const step = progress.of("in the clear");
  const clear: Rows[] = [];
  for (const text of texts) {
    const ops = new FloatOps(source.weights, text, text.ids.length, { matmul, scoring: true });
    clear.push(logitsOf(ops, source.spec).data);
    step(clear.length, texts.length);
    await setImmediate(); // the bar's timer
  }
  const checks = options.rangeCheck ?? true;
  const fixed = checks ? await inFixedPoint(source, texts, await Ring.create(), progress.of("in fixed point")) : null;
  const outside = fixed?.outside ?? null;
  const hidden = options.private ? await underMpc(name, options, texts, progress) : null;
  progress.stop();
  const { vocabulary } = source.spec;
  const of = (rows: readonly Rows[]) => perplexityOf(texts.map((text, i) => likelihoods(text, rows[i], vocabulary)));
  const [plain, shown] = [of(clear), of(hidden ?? clear)];
  const result = {
    metric: "perplexity",
    value: shown.perplexity,
    loss: shown.loss,
    texts: texts.length,
    tokens: shown.tokens,
    ...(outside === null ? {} : { outside_range: outside.length }),
    ...(hidden === null
      ? {}
      : {
          clear_value: plain.perplexity,
          agreement: sameChoices(hidden, clear, vocabulary),
          max_abs_logit_error: Math.max(...hidden.map((rows, i) => largestDifference(rows, clear[i]))),
        }),
  };
  for (const { index, label, name: value, excess } of outside?.slice(0, 5) ?? [])
    warn(
      `text ${index + 1}: "${value}" at ${label} is ${excess.toFixed(1)} times beyond the plan: calibrate on texts like it`,
    );
  if (options.json) return printJson(result);
  const where = hidden === null ? "in the clear" : "under MPC";
  print(`perplexity: ${result.value.toFixed(4)} on ${result.tokens} tokens of ${texts.length} texts, ${where}`);
  if (hidden !== null) {
    print(
      `in the clear: ${plain.perplexity.toFixed(4)}; likeliest tokens equal: ${(100 * result.agreement!).toFixed(2)}%`,
    );
    print(`largest logit error: ${result.max_abs_logit_error!.toFixed(5)}`);
  }
}

/** Texts of two tokens or more, cut where the model or the longest padded length ends. */
async function textsOf({ tokenizer, spec }: ModelSource, options: EvaluateOptions): Promise<TokenizedText[]> {
  const most = Math.min(longestText(spec), BUCKETS[BUCKETS.length - 1]);
  const lines = (await readNumberedTexts(options.data)).slice(0, options.limit);
  const texts = eachRow(lines, options.data, ({ text }) => {
    const { ids, types } = tokenizer.encode(text, undefined, { truncate: true });
    return { ids: ids.slice(0, most), types: types.slice(0, most) };
  });
  return texts.filter((text) => text.ids.length > 1);
}

async function underMpc(
  name: string,
  options: EvaluateOptions,
  texts: readonly TokenizedText[],
  progress: Progress,
): Promise<Rows[]> {
  const parties = await startParties([name, ...modelFlags(options)]);
  let client: Client | null = null;
  try {
    client = await openClient({ ...parties, deadline: DEADLINE_SECONDS, json: true }, new Progress(true));
    const step = progress.of("under MPC");
    const rows: Rows[] = [];
    for (const text of texts) {
      rows.push(Float32Array.from((await client.score(text)).logits));
      step(rows.length, texts.length);
    }
    return rows;
  } finally {
    await client?.close();
    parties.stop();
  }
}

/** The log likelihood of each token behind the first. */
export function likelihoods({ ids }: TokenizedText, rows: Rows, columns: number): number[] {
  return ids.slice(1).map((id, i) => logLikelihood(rows.subarray(i * columns, (i + 1) * columns), id));
}

/** Share of tokens behind which both find the same one likeliest. */
export function sameChoices(a: readonly Rows[], b: readonly Rows[], columns: number): number {
  let [same, all] = [0, 0];
  a.forEach((rows, i) => {
    for (let at = 0; at < rows.length; at += columns, all++) {
      const of = (r: Rows) => winner([...r.subarray(at, at + columns)]);
      if (of(rows) === of(b[i])) same++;
    }
  });
  return same / all;
}

export function largestDifference(a: Rows, b: Rows): number {
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0);
}

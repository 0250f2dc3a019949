/** `evaluate` of a decoder: how well it foretells texts, in the clear, in fixed point and under MPC. */
import { setImmediate } from "node:timers/promises";
import { logitsOf } from "../models/model.ts";
import type { Client } from "../parties/client.ts";
import { BUCKETS } from "../program/lengths.ts";
import { longestText, type TokenizedText } from "../program/spec.ts";
import { FloatOps } from "../reference/float.ts";
import type { Matmul } from "../reference/matmul.ts";
import { Ring } from "../ring/ring.ts";
import { eachRow, readNumberedTexts } from "../tasks/tables.ts";
import { openClient } from "./client.ts";
import { behindPadding, Comparison } from "./comparison.ts";
import { UsageError } from "./failure.ts";
import { type ModelOptions, modelFlags, type OutputOptions } from "./options.ts";
import { startParties } from "./processes.ts";
import { Progress } from "./progress.ts";
import { fixedPointOf } from "./ranges.ts";
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

/** Perplexity on plain texts, one a line: in the clear, in fixed point in the clear, and under MPC. */
export async function evaluateDecoder(
  name: string,
  options: EvaluateOptions,
  source: ModelSource,
  matmul: Matmul,
  progress: Progress,
): Promise<void> {
  if (options.task !== undefined) throw new UsageError("--task is for models that classify texts");
  const { spec, weights } = source;
  const texts = await textsOf(source, options);
  const scores = { ...source, spec: { ...spec, answer: "scores" } as const };
  const inFixed = (options.rangeCheck ?? true) ? fixedPointOf(scores, await Ring.create()) : null;
  const hidden = options.private ? await startHidden(name, options) : null;
  const [clear, fixed, underMpc] = [0, 0, 0].map(() => new Comparison(spec.vocabulary));
  const outside: string[] = [];
  let left = 0;
  try {
    const step = progress.of(
      ["in the clear", inFixed && "in fixed point", hidden && "under MPC"].filter(Boolean).join(", "),
    );
    // One text after the other: the logits of all are more than memories hold.
    for (const [i, text] of texts.entries()) {
      const ops = new FloatOps(weights, text, text.ids.length, { matmul, scoring: true });
      const right = logitsOf(ops, spec).data;
      clear.add(right, right, text.ids);
      const found = await inFixed?.(text);
      if (found !== undefined) fixed.add(behindPadding(found.logits, right), right, text.ids);
      if (found?.outside) {
        left++;
        const { name: value, label, excess } = found.outside;
        outside.push(
          `text ${i + 1}: "${value}" at ${label} is ${excess.toFixed(1)} times beyond the plan: calibrate on texts like it`,
        );
      }
      if (hidden !== null) underMpc.add(Float32Array.from((await hidden.client.score(text)).logits), right, text.ids);
      step(i + 1, texts.length);
      await setImmediate(); // the bar's timer
    }
  } finally {
    await hidden?.client.close();
    hidden?.stop();
  }
  progress.stop();
  for (const line of outside.slice(0, 5)) warn(line);
  const told = hidden === null ? clear : underMpc;
  const result = {
    metric: "perplexity",
    value: told.perplexity.perplexity,
    loss: told.perplexity.loss,
    texts: texts.length,
    tokens: told.perplexity.tokens,
    ...(inFixed === null ? {} : { outside_range: left, ...named("fixed_", fixed) }),
    ...(hidden === null ? {} : { clear_value: clear.perplexity.perplexity, ...underMpc.told }),
  };
  if (options.json) return printJson(result);
  const where = hidden === null ? "in the clear" : "under MPC";
  print(`perplexity: ${result.value.toFixed(4)} on ${result.tokens} tokens of ${texts.length} texts, ${where}`);
  if (hidden !== null) print(`in the clear: ${clear.perplexity.perplexity.toFixed(4)}; ${lineOf(underMpc)}`);
  if (inFixed !== null) print(`in fixed point: ${fixed.perplexity.perplexity.toFixed(4)}; ${lineOf(fixed)}`);
  if (hidden !== null) print(`largest logit error: ${underMpc.told.max_abs_logit_error.toFixed(5)}`);
}

function lineOf({ told }: Comparison): string {
  return `likeliest tokens equal: ${(100 * told.agreement).toFixed(2)}%`;
}

function named(prefix: string, compared: Comparison): Record<string, number> {
  const all = { value: compared.perplexity.perplexity, ...compared.told };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [prefix + name, value]));
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

/** Three parties, and a client of them. */
async function startHidden(name: string, options: EvaluateOptions): Promise<{ client: Client; stop: () => void }> {
  const parties = await startParties([name, ...modelFlags(options)]);
  try {
    const client = await openClient({ ...parties, json: true }, new Progress(true));
    return { client, stop: () => parties.stop() };
  } catch (error) {
    parties.stop();
    throw error;
  }
}

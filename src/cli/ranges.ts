/** What a private run cannot see: texts that take a value out of its planned range. */
import { setImmediate } from "node:timers/promises";
import { compile } from "../compiler/compile.ts";
import { ownRows } from "../parties/answer.ts";
import { embedderOf } from "../parties/public-tables.ts";
import { TextInput } from "../parties/text.ts";
import { IntegerWeights } from "../parties/weights.ts";
import { bucketFor } from "../program/lengths.ts";
import { isDecoder, longestText, type TokenizedText } from "../program/spec.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { runClear } from "../protocols/clear.ts";
import type { Violation } from "../protocols/sides.ts";
import type { Prg } from "../ring/prg.ts";
import type { Ring } from "../ring/ring.ts";
import type { Source } from "./source.ts";

/** The first violation of a text, by the text's index. */
type Outside = Pick<Violation, "label" | "name" | "excess"> & { readonly index: number };

/** One text's run in fixed point in the clear. */
interface FixedAnswer {
  readonly logits: number[];
  /** Null: its private answer would be right. */
  readonly outside: Omit<Outside, "index"> | null;
}

/** What runs in fixed point in the clear tell of texts. */
export interface FixedRun {
  /** Texts whose private answers could be wrong. */
  readonly outside: Outside[];
  /** Every text's answer, as its private one would be but for the protocols' rounding. */
  readonly logits: number[][];
}

/** Runs every text in fixed point in the clear. */
export async function inFixedPoint(
  source: Source,
  texts: readonly TokenizedText[],
  ring: Ring,
  progress: (done: number, total: number) => void,
): Promise<FixedRun> {
  const run = fixedPointOf(source, ring);
  const found: Outside[] = [];
  const answers: number[][] = [];
  for (const [index, text] of texts.entries()) {
    const { logits, outside } = await run(text);
    answers.push(logits);
    if (outside !== null) found.push({ ...outside, index });
    progress(index + 1, texts.length);
    await setImmediate(); // the bar's timer
  }
  return { outside: found, logits: answers };
}

/**
 * Runs texts in fixed point in the clear, one at a time: a decoder's logits of many are not in memory together. With `rounding` values are
 * rounded as in a private run whose openings are checked; without it, down.
 */
export function fixedPointOf(
  { spec, plan, weights }: Pick<Source, "spec" | "plan" | "weights">,
  ring: Ring,
  rounding?: Prg,
): (text: TokenizedText) => Promise<FixedAnswer> {
  const integers = new IntegerWeights(ring);
  const programs = new Map<number, Program>();
  const like = { scoring: isDecoder(spec), verified: rounding !== undefined };
  return async (text) => {
    const length = bucketFor(text.ids.length, longestText(spec));
    const program = programs.get(length) ?? compile(spec, plan, { ...oneTurn(length), ...like });
    programs.set(length, program);
    const served = await integers.for(program, async () => weights);
    const input = new TextInput(ring, program, spec, text, embedderOf(spec, weights));
    const { logits, violations } = runClear(ring, program, served, input, { rounding });
    const known = input.findings.any ? { label: "embeddings", name: "embeddings", excess: 1 } : violations[0];
    return { logits: ownRows(spec, text, [...logits]), outside: known ?? null };
  };
}

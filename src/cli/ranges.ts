/** What a private run cannot see: texts that take a value out of its planned range. */
import { setImmediate } from "node:timers/promises";
import { compile } from "../compiler/compile.ts";
import { ownRows } from "../parties/answer.ts";
import { TextInput } from "../parties/text.ts";
import { IntegerWeights } from "../parties/weights.ts";
import { bucketFor } from "../program/lengths.ts";
import { isDecoder, longestText, type TokenizedText } from "../program/spec.ts";
import { oneTurn, type Program } from "../program/steps.ts";
import { runClear } from "../protocols/clear.ts";
import type { Violation } from "../protocols/sides.ts";
import type { Ring } from "../ring/ring.ts";
import type { Source } from "./source.ts";

/** The first violation of a text, by the text's index. */
type Outside = Pick<Violation, "label" | "name" | "excess"> & { readonly index: number };

/** What a run in fixed point in the clear tells of texts. */
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
  const { spec, plan, weights } = source;
  const integers = new IntegerWeights(ring);
  const programs = new Map<number, Program>();
  const found: Outside[] = [];
  const answers: number[][] = [];
  for (const [index, text] of texts.entries()) {
    const length = bucketFor(text.ids.length, longestText(spec));
    const program = programs.get(length) ?? compile(spec, plan, { ...oneTurn(length), scoring: isDecoder(spec) });
    programs.set(length, program);
    const served = await integers.for(program, async () => weights);
    const input = new TextInput(ring, program, spec, text, weights);
    const { logits, violations } = runClear(ring, program, served, input);
    answers.push(ownRows(spec, text, [...logits]));
    if (input.findings.any) found.push({ label: "embeddings", name: "embeddings", excess: 1, index });
    else if (violations.length > 0) found.push({ ...violations[0], index });
    progress(index + 1, texts.length);
    await setImmediate(); // the bar's timer
  }
  return { outside: found, logits: answers };
}

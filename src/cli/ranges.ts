/** What a private run cannot see: texts that take a value out of its planned range. */
import { setImmediate } from "node:timers/promises";
import { compile } from "../compiler/compile.ts";
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
export type Outside = Pick<Violation, "label" | "name" | "excess"> & { readonly index: number };

/** Runs every text in fixed point in the clear; returns those whose private answers could be wrong. */
export async function outsideRange(
  source: Source,
  texts: readonly TokenizedText[],
  ring: Ring,
  progress: (done: number, total: number) => void,
): Promise<Outside[]> {
  const { spec, plan, weights } = source;
  const integers = new IntegerWeights(ring);
  const programs = new Map<number, Program>();
  const found: Outside[] = [];
  for (const [index, text] of texts.entries()) {
    const length = bucketFor(text.ids.length, longestText(spec));
    const program = programs.get(length) ?? compile(spec, plan, { ...oneTurn(length), scoring: isDecoder(spec) });
    programs.set(length, program);
    const served = await integers.for(program, async () => weights);
    const input = new TextInput(ring, program, spec, text, weights);
    const { violations } = runClear(ring, program, served, input);
    if (input.findings.any) found.push({ label: "embeddings", name: "embeddings", excess: 1, index });
    else if (violations.length > 0) found.push({ ...violations[0], index });
    progress(index + 1, texts.length);
    await setImmediate(); // the bar's timer
  }
  return found;
}

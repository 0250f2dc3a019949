/**
 * Reading weights off answers, where one opening in 16 is checked: `npm run long -- extraction --clients 60`. A client adds δ to one opened value of the
 * row that the classifier reads, a column of weights a question, until its key is shut out. Prints how many questions that takes, and how well the
 * weights are known then (docs/verification.md, "What a sample leaves").
 */
import { parseArgs } from "node:util";
import { expect, it, vi } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { Findings } from "../../src/parties/findings.ts";
import { Deviation } from "../../src/parties/messages.ts";
import { Strikes } from "../../src/parties/strikes.ts";
import { oneTurn, type StepOf } from "../../src/program/steps.ts";
import { type Harness, harness } from "../parties/harness.ts";
import { lying } from "../protocols/liar.ts";

const { values } = parseArgs({
  args: JSON.parse(process.env.LONG_ARGUMENTS ?? "[]") as string[],
  options: { clients: { type: "string", default: "60" }, verify: { type: "string", default: "16" } },
});
const [CLIENTS, VERIFY] = [Number(values.clients), Number(values.verify)];
/** Of the value's unit: what is added. The largest keeps the answer in its ring. */
const DELTAS = [1, 4, 16, 64];

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** The opening whose value the classifier reads. */
function target({ program }: Harness): StepOf<"open"> {
  const classifier = program.steps.find((s) => s.kind === "linear" && s.label === "classifier");
  const read = classifier?.kind === "linear" ? classifier.terms[0].x : -1;
  const found = program.steps.find((s) => s.kind === "open" && s.out === read);
  if (found?.kind !== "open") throw new Error("the classifier reads an opened value");
  return found;
}

/** The answer of one question, with δ added to one value; null where the client was caught. */
async function answer(h: Harness, unit: number, delta: number, verify: number): Promise<number[] | null> {
  const step = target(h);
  const { scale, ring } = h.program.values[step.out];
  const bits = BigInt(ring + step.shift);
  const added = BigInt(Math.round(scale * delta)) << BigInt(step.shift);
  const change = (words: { bytes(): Uint8Array; readonly length: number }) => {
    const bytes = words.bytes();
    const all = new BigUint64Array(bytes.buffer, bytes.byteOffset, words.length);
    all[unit] = (all[unit] + added) & ((1n << bits) - 1n);
  };
  const undo = delta === 0 ? () => {} : lying({ step, way: "message", change });
  try {
    const { logits, run } = await h.secure(randomText(h.spec, 6, 1), undefined, undefined, undefined, verify);
    run.close();
    return logits;
  } catch (error) {
    if (error instanceof Deviation) return null;
    throw error;
  } finally {
    undo();
  }
}

it("a client reads weights until its key is shut out", async () => {
  // An answer beyond the plan's range is told its user as void: this one reads it all the same.
  vi.spyOn(Findings.prototype, "raise").mockImplementation(() => {});
  const h = await harness({ layers: 1, embedding: "public" }, { ...oneTurn(8), verified: true });
  const { data, shape } = h.weights.get("classifier.weight");
  const [labels, columns] = shape;
  const honest = (await answer(h, 0, 0, VERIFY))!;
  // How well one question tells a weight, by what was added: the errors of one column for each.
  const rms = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
  const digits = new Map<number, number>();
  for (const delta of DELTAS) {
    const errors: number[] = [];
    for (let unit = 0; unit < 8; unit++) {
      let got: number[] | null = null;
      while (got === null) got = await answer(h, unit, delta, VERIFY);
      for (let l = 0; l < labels; l++) errors.push(Math.abs((got[l] - honest[l]) / delta - data[l * columns + unit]));
    }
    digits.set(delta, Math.log10(rms / median(errors)));
  }
  const best = [...digits].reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  const questions: number[] = [];
  const read: number[] = [];
  for (let client = 0; client < CLIENTS; client++) {
    const strikes = new Strikes();
    const known = new Set<number>();
    let asked = 0;
    for (let shut = false; !shut; ) {
      try {
        strikes.check("key");
      } catch {
        shut = true;
        continue;
      }
      const unit = asked++ % columns;
      if ((await answer(h, unit, best, VERIFY)) === null) strikes.add("key");
      else known.add(unit);
    }
    questions.push(asked);
    read.push(asked - 3);
  }
  const sorted = [...questions].sort((a, b) => a - b);
  console.log(`${CLIENTS} clients, one opening in ${VERIFY} checked, three strikes`);
  console.log(
    `questions until the key is shut out: median ${median(questions)}, from ${sorted[0]} to ${sorted[CLIENTS - 1]}`,
  );
  console.log(`columns of ${labels} weights read: median ${median(read)}`);
  for (const [delta, d] of digits)
    console.log(`digits of a weight by one question, ${delta} units added: ${d.toFixed(1)}`);
  // Three failures of probability 1/N: the median lies below 3 N.
  expect(median(questions)).toBeLessThan(4 * VERIFY);
  expect(median(questions)).toBeGreaterThan(VERIFY);
});

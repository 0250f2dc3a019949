/**
 * Every family against PyTorch: its fixture (scripts/make-family-goldens.py) loads, tokenizes, gives the golden logits in floats and
 * in the parties' fixed point, and is saved as it was.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { loadModel, saveModel } from "../../src/models/checkpoint.ts";
import { withOverrides } from "../../src/models/config.ts";
import { logitsOf } from "../../src/models/model.ts";
import { requiredWeights } from "../../src/models/weights.ts";
import { simulateText } from "../../src/parties/rehearse.ts";
import type { TokenizedText } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Ring } from "../../src/ring/ring.ts";

interface Golden {
  readonly text: string;
  readonly ids: readonly number[];
  readonly types: readonly number[];
  /** Of the text, or of each of its positions. */
  readonly logits: readonly number[] | readonly (readonly number[])[];
}

const OWN = new URL("./fixtures/families", import.meta.url).pathname;
/** Folders of others' making, where they are at hand; those of these families and of the heads that answer here. */
const SHARED = ["../../../shared/cases-hf", "../../../../shared/cases-hf"]
  .map((path) => new URL(path, import.meta.url).pathname)
  .find((path) => existsSync(path));
const SHARED_NAMES = readdirSync(OWN)
  .flatMap((name) => [name, `${name}-seq`])
  .concat("llama", "llama-head-dim", "llama3-plain-rope");

const folders = [
  ...readdirSync(OWN).map((name) => [name, join(OWN, name)] as const),
  ...(SHARED === undefined ? [] : readdirSync(SHARED))
    .filter((name) => SHARED_NAMES.includes(name))
    .map((name) => [`another ${name}`, join(SHARED ?? "", name)] as const),
];

const ring = Ring.create();

function goldenOf(folder: string): { text: string; tokens: TokenizedText; rows: readonly (readonly number[])[] } {
  const { text, ids, types, logits } = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Golden;
  const rows = (typeof logits[0] === "number" ? [logits] : logits) as readonly (readonly number[])[];
  return { text, tokens: { ids, types }, rows };
}

function worst(got: ArrayLike<number>, expected: readonly number[]): number {
  expect(got.length).toBe(expected.length);
  return expected.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i])), 0);
}

describe.each(folders)("%s", (label, folder) => {
  const { text, tokens, rows } = goldenOf(folder);

  it("gives PyTorch's logits in floats, from the text", async () => {
    const { spec, weights, tokenizer } = await loadModel(folder);
    // That folder names Llama's class, by which transformers reads other tokens than its golden has.
    if (label !== "another gemma") expect(tokenizer.encode(text).ids).toEqual(tokens.ids);
    const out = logitsOf(new FloatOps(weights, tokens, tokens.ids.length, { scoring: true }), spec);
    expect(out.rows).toBe(rows.length);
    expect(worst(out.data, rows.flat())).toBeLessThan(1e-4);
  });

  it("gives them under multi-party computation, to 1% of their range or 0.05", async () => {
    const { spec, weights } = await loadModel(folder);
    const plan = calibrate(spec, weights, [tokens]);
    const { logits, violations } = await simulateText(await ring, { spec, weights, plan }, tokens);
    const last = rows[rows.length - 1];
    expect(violations).toEqual([]);
    expect(worst(logits, last)).toBeLessThan(Math.max(0.05, 0.01 * (Math.max(...last) - Math.min(...last))));
  });

  it("gives what floats give with stand-ins, of a padded text and public tables", async () => {
    const choices = { gelu: "quad", softmax: "2quad:5", embedding: "public" } as const;
    const { spec, weights } = await loadModel(folder);
    if (spec.isDecoder) return;
    const cheap = withOverrides(spec, spec.blocks.activation === "gelu" ? choices : { ...choices, gelu: spec.gelu });
    const some = { ids: tokens.ids.slice(0, 9), types: tokens.types.slice(0, 9) };
    const expected = [...logitsOf(new FloatOps(weights, some, 9), cheap).data];
    const { logits, violations, program } = await simulateText(
      await ring,
      { spec: cheap, weights, plan: calibrate(cheap, weights, [some]) },
      some,
    );
    expect(program.shape.length).toBe(16);
    expect(violations).toEqual([]);
    expect(worst(logits, expected)).toBeLessThan(
      Math.max(0.05, 0.01 * (Math.max(...expected) - Math.min(...expected))),
    );
  });

  it("is saved as it was", async () => {
    const model = await loadModel(folder);
    const copy = mkdtempSync(join(tmpdir(), "family-"));
    await saveModel(copy, model);
    const again = await loadModel(copy);
    rmSync(copy, { recursive: true });
    expect(again.spec).toEqual(model.spec);
    for (const name of requiredWeights(model.spec).keys()) {
      const [mine, theirs] = [again, model].map(({ weights }) => weights.get(name));
      expect(mine.shape).toEqual(theirs.shape);
      // Values that files have changed are rounded once more.
      expect(mine.data.every((x, i) => Math.abs(x - theirs.data[i]) <= 1e-6 * Math.max(1, Math.abs(x)))).toBe(true);
    }
  });
});

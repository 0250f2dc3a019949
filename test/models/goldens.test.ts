import { describe, expect, it } from "vitest";
import { anyTokenizer } from "../../src/models/any-tokenizer.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { fixture, fixtureNames, golden } from "./fixtures.ts";

/** 32-bit storage against 64-bit floats over two layers of width 32; logits are of the order of 1. */
const TOLERANCE = 1e-4;

describe.each(fixtureNames)("%s", (name) => {
  const { cases, truncated } = golden(name);

  it("tokenizes as transformers does", async () => {
    const { tokenizer } = await loadModel(fixture(name));
    for (const { text, pair, ids, types } of cases) {
      expect(tokenizer.encode(text, pair ?? undefined)).toEqual({ ids, types });
    }
    const short = await shortened(name, truncated.length);
    const cut = short.encode(truncated.text, truncated.pair, { truncate: true });
    expect(cut.ids).toEqual(truncated.ids);
    expect(() => short.encode(truncated.text, truncated.pair)).toThrow(/tokens, the model takes 48: shorten it/);
  });

  it.each(Object.keys(cases[0].logits))("gives PyTorch's logits with %s, padded or not", async (variant) => {
    const [gelu, softmax] = variant.split("+");
    const { spec, weights } = await loadModel(fixture(name), { gelu, softmax });
    for (const { ids, types, logits } of cases) {
      for (const padding of [0, 1, 13]) {
        const out = logitsOf(new FloatOps(weights, { ids, types }, ids.length + padding), spec);
        expect([out.rows, out.columns]).toEqual([1, spec.labels]);
        for (const [i, logit] of logits[variant].entries())
          expect(Math.abs(out.data[i] - logit)).toBeLessThan(TOLERANCE);
      }
    }
  });
});

async function shortened(name: string, length: number) {
  const { tokenizer, spec } = await loadModel(fixture(name));
  return anyTokenizer(tokenizer.files, { ...spec, positions: length + spec.positionOffset });
}

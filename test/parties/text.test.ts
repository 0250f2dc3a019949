/** A text as secret integers: what they are, and that how many rows are looked up does not tell how long the text is. */
import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { embeddingsOf } from "../../src/models/model.ts";
import { embedderOf } from "../../src/parties/public-tables.ts";
import { TextInput } from "../../src/parties/text.ts";
import type { ModelSpec, TokenizedText, Weights } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { centredRows } from "../../src/reference/tensor.ts";
import { type Harness, harness, TINY_GPT2 } from "./harness.ts";

const LENGTH = 12;
const KINDS: [string, Partial<ModelSpec>][] = [
  ["an encoder's public embedding", { embedding: "public" }],
  ["an encoder's private embedding", { embedding: "private" }],
  ["RoBERTa's positions", { ...baseOf("roberta"), embedding: "public", positionOffset: 2, types: 1 }],
  ["a decoder's public embedding", { ...TINY_GPT2, embedding: "public" }],
  ["a decoder's private embedding", { ...TINY_GPT2, embedding: "private" }],
];

function inputSteps({ program }: Harness) {
  return program.steps.flatMap((s) => (s.kind === "input" || s.kind === "entry" ? [s] : []));
}

/** Every input's integers, and how often an element of a table was read for them. */
function filled(h: Harness, text: TokenizedText): { reads: number; values: Map<string, number[]> } {
  let reads = 0;
  const counted = (data: Float32Array) =>
    new Proxy(data, {
      get(target, key) {
        if (typeof key === "string" && /^\d+$/.test(key)) reads++;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  const watched: Weights = {
    get: (name) => {
      const { shape, data } = h.weights.get(name);
      return { shape, data: counted(data) };
    },
  };
  const input = new TextInput(
    h.ring,
    h.program,
    h.spec,
    text,
    h.spec.embedding === "public" ? embedderOf(h.spec, watched) : null,
  );
  const values = new Map<string, number[]>();
  for (const step of inputSteps(h)) {
    const { rows, columns, scale } = h.program.values[step.out];
    const out = h.ring.alloc(rows * columns);
    input.fill(out, step);
    values.set(step.source, [...h.ring.decode(out, 64, scale)]);
    h.ring.free(out);
  }
  expect(input.findings.any).toBe(false);
  return { reads, values };
}

describe.each(KINDS)("%s", (_, overrides) => {
  it("has the text's rows where they belong, and takes as many reads for every text", async () => {
    const h = await harness(overrides, oneTurn(LENGTH));
    const decoder = overrides.isDecoder === true;
    const reads = new Set<number>();
    for (const own of [3, 7, LENGTH]) {
      const text = randomText(h.spec, own, own);
      const first = decoder ? LENGTH - own : 0;
      const got = filled(h, text);
      reads.add(got.reads);
      for (const step of inputSteps(h)) {
        const { rows, columns, scale } = h.program.values[step.out];
        const expected = new Array<number>(rows * columns).fill(0);
        if (step.source === "mask") expected.fill(1, first, first + own);
        else if (step.source === "embedding") {
          const ref = embeddingsOf(h.spec);
          const x = new FloatOps(h.weights, text, own).embed(ref);
          const data = ref.readers === "centred stream" ? centredRows(x) : x.data;
          data.forEach((v, i) => {
            expected[first * columns + i] = Math.round(v * scale) / scale;
          });
        } else if (step.source !== "positions") {
          text.ids.forEach((id, i) => {
            expected[(first + i) * columns + (step.source === "words" ? id : text.types[i])] = 1;
          });
        } else {
          for (let i = 0; i < (decoder ? own : LENGTH); i++)
            expected[(first + i) * columns + i + h.spec.positionOffset] = 1;
        }
        got.values.get(step.source)!.forEach((v, i) => {
          expect(Math.abs(v - expected[i])).toBeLessThanOrEqual(step.source === "embedding" ? 1 / scale : 0);
        });
      }
    }
    expect(reads.size).toBe(1);
    if (overrides.embedding === "public") expect([...reads][0]).toBeGreaterThan(0);
  });
});

/** Models that fill masked words, against PyTorch: floats, the parties' fixed point, the folder saved again; candidates; what is refused. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { specOf } from "../../src/models/config.ts";
import { logitsOf } from "../../src/models/model.ts";
import { reading } from "../../src/parties/answer.ts";
import { encoded } from "../../src/parties/greeting.ts";
import { simulateText } from "../../src/parties/rehearse.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Ring } from "../../src/ring/ring.ts";
import { expectSavedAsItWas } from "./saved.ts";

const OWN = new URL("./fixtures/masked", import.meta.url).pathname;
/** Folders of others' making, where they are at hand: their texts have logits at every place. */
const SHARED = ["../../../shared/cases-hf", "../../../../shared/cases-hf"]
  .map((path) => new URL(path, import.meta.url).pathname)
  .filter((path) => existsSync(path))
  .flatMap((path) => ["bert-mlm", "roberta-mlm"].map((name) => [`another ${name}`, join(path, name)]));

const ring = Ring.create();
const folders = [...readdirSync(OWN).map((name) => [name, join(OWN, name)]), ...SHARED];
const worst = (got: ArrayLike<number>, expected: readonly number[]) =>
  Math.max(...expected.map((x, i) => Math.abs(x - got[i])));

describe.each(folders)("%s", (_, folder) => {
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
  const { ids, place = 4 } = golden as { readonly ids: readonly number[]; readonly place?: number };
  const expected: readonly number[] = golden.place === undefined ? golden.logits[place] : golden.logits;
  const text = { ids, types: ids.map(() => 0), place };

  it("gives PyTorch's logits of the place in floats and under multi-party computation", async () => {
    const { spec, weights } = await loadModel(folder);
    expect(worst(logitsOf(new FloatOps(weights, text, ids.length), spec).data, expected)).toBeLessThan(1e-4);
    const run = await simulateText(await ring, { spec, weights, plan: calibrate(spec, weights, [text]) }, text);
    expect(run.violations).toEqual([]);
    expect(run.logits.length).toBe(spec.vocabulary);
    expect(worst(run.logits, expected)).toBeLessThan(0.05);
  });

  it("is saved as it was", () => expectSavedAsItWas(folder));
});

describe("a masked word", () => {
  const folder = join(OWN, "bert");

  it("is found in the text, once, and its candidates are told", async () => {
    const { spec, tokenizer } = await loadModel(folder);
    const asked = { tokenizer, spec } as const;
    expect(encoded(asked, "the [MASK] film").place).toBe(2);
    for (const text of ["the film", "[MASK] and [MASK]"])
      expect(() => encoded(asked, text)).toThrow(/write its mask .* once where the word is missing/);
    const logits = Array.from({ length: spec.vocabulary }, (_, i) => (i === 6 ? 5 : i === 12 ? 4 : 0));
    const told = { text: "the [MASK]", encoded: { ids: [], types: [] }, tokenizer };
    const { candidates } = reading(spec, logits, told);
    expect(candidates?.map(({ word }) => word).slice(0, 2)).toEqual(["film", "old"]);
    expect(candidates?.length).toBe(5);
    expect(candidates?.[0].score).toBeGreaterThan(candidates?.[1].score ?? 1);
  });

  it("is refused where the head has another function than the file says", () => {
    const config = JSON.parse(readFileSync(join(OWN, "roberta", "config.json"), "utf8"));
    expect(() => specOf(JSON.stringify({ ...config, hidden_act: "relu" }))).toThrow(/hidden_act must be gelu where/);
    expect(() => specOf(JSON.stringify({ ...config, tie_word_embeddings: false }))).toThrow(
      /tie_word_embeddings: must/,
    );
    expect(() => specOf(JSON.stringify({ ...config, architectures: ["RobertaForCausalLM"] }))).toThrow(
      /give a Roberta/,
    );
  });

  it("has no place in a text without one", async () => {
    const { spec, weights } = await loadModel(folder);
    const text = { ids: [2, 5, 3], types: [0, 0, 0] };
    const plan = calibrate(spec, weights, [text]);
    await expect(simulateText(await ring, { spec, weights, plan }, text)).rejects.toThrow(/name its place/);
  });
});

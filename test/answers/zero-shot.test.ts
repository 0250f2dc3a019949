/** Labels of one's own, against transformers' pipeline (scripts/make-task-goldens.py). */

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  entailmentIn,
  sentencesAbout,
  USUAL_SENTENCE,
  type ZeroShot,
  zeroShotOf,
} from "../../src/answers/zero-shot.ts";
import { loadModel } from "../../src/models/checkpoint.ts";
import { logitsOf } from "../../src/models/model.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { fixture } from "../models/fixtures.ts";

interface ZeroShotGolden {
  readonly candidates: readonly string[];
  readonly cases: readonly (ZeroShot & { readonly text: string; readonly multi: boolean })[];
}

const golden: ZeroShotGolden = JSON.parse(readFileSync(fixture("tasks/entailment/golden.json"), "utf8"));

it("labels and scores are transformers'", async () => {
  const { spec, weights, tokenizer } = await loadModel(fixture("tasks/entailment"));
  const entailment = entailmentIn(spec.labelNames);
  for (const { text, multi, labels, scores } of golden.cases) {
    const logits = sentencesAbout(golden.candidates, USUAL_SENTENCE).map((sentence) => {
      const own = tokenizer.encode(text, sentence);
      return [...logitsOf(new FloatOps(weights, own, own.ids.length), spec).data];
    });
    const found = zeroShotOf(golden.candidates, logits, entailment, multi);
    expect(found.labels).toEqual(labels);
    found.scores.forEach((score, i) => {
      expect(score).toBeCloseTo(scores[i], 4);
    });
  }
});

it("one label is judged against its contradiction, wherever entailment stands", () => {
  const half = { labels: ["a"], scores: [0.5] };
  expect(zeroShotOf(["a"], [[2, 0, 2]], 2, false)).toEqual(half);
  expect(zeroShotOf(["a"], [[2, 9, 2]], 0, false)).toEqual(half);
});

it("a model of another kind, a sentence without a place and no labels are refused", () => {
  expect(() => entailmentIn(["news", "film"])).toThrow(/does not tell whether a text entails another/);
  expect(() => sentencesAbout(["a"], "It is.")).toThrow(/has no \{\}: put it where the label goes/);
  expect(() => sentencesAbout([], USUAL_SENTENCE)).toThrow(/give one or more/);
  expect(sentencesAbout(["$&"], "It is {}.")).toEqual(["It is $&."]);
});

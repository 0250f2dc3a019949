/**
 * What models learn from whose answers are not one label of a text: words with tags, questions about texts, or plain texts. A student's
 * are measured by its teacher's answers.
 */
import type { Example } from "../distill/batches.ts";
import { Predictor } from "../distill/predictor.ts";
import type { Training } from "../distill/recipe.ts";
import type { DevSet } from "../distill/run.ts";
import type { SessionOptions } from "../distill/session.ts";
import type { Model } from "../models/checkpoint.ts";
import type { SpannedText, TextTokenizer } from "../models/tokenizer.ts";
import { answersTokens, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import { cosine, winner } from "../tasks/metrics.ts";
import { type MarkedText, readAsked, readMarked } from "../tasks/spans.ts";
import { eachRow, readNumberedTexts } from "../tasks/tables.ts";
import { UsageError } from "./failure.ts";
import { heldOut, paceOf, shortened } from "./training.ts";
import type { TrainingOptions } from "./training-options.ts";

/** The label of words that belong to nothing. */
const OUTSIDE = "O";

/** The head that judges words, as the data's tags name it: `O`, then `B-` and `I-` of each kind. */
export async function taggedHead(path: string): Promise<Pick<ModelSpec, "problem" | "labelNames">> {
  const kinds = new Set((await readMarked(path)).flatMap(({ entities }) => entities.map(({ label }) => label)));
  const names = [...kinds].sort().flatMap((kind) => [`B-${kind}`, `I-${kind}`]);
  return { problem: "tokens", labelNames: [OUTSIDE, ...names] };
}

/** Words with tags, and what is held out of them or of `--dev` to measure labels by. */
export async function taggedData(
  model: Pick<Model, "spec" | "tokenizer">,
  o: TrainingOptions,
): Promise<{ readonly examples: Example[]; readonly dev?: DevSet }> {
  const { examples, dev } = await examplesIn(model, o);
  if (dev === undefined) return { examples };
  const told = dev.flatMap(({ tokenLabels }) => [...(tokenLabels ?? [])]);
  return {
    examples,
    dev: {
      texts: dev.map(({ text }) => text),
      measure: (answers) => ({ accuracy: shareOf(bestLabels(answers, model.spec.labels), told) }),
      ...paceOf(o),
    },
  };
}

/** What a student learns of its teacher, and what is held out of it or of `--dev` to compare both by. */
export async function taughtData(
  student: Model,
  teacher: Model,
  o: TrainingOptions,
  session: SessionOptions,
): Promise<Pick<Training, "examples" | "dev">> {
  if (o.task !== undefined) throw new UsageError("this model's answers are no task's labels: leave --task out");
  const { examples, dev } = await examplesIn(student, o);
  if (dev === undefined) return { examples };
  const texts = dev.map(({ text }) => text);
  const predictor = await Predictor.open(teacher.spec, teacher.weights, session);
  const theirs = await predictor.logits(texts);
  await predictor.close();
  const { spec } = student;
  const measure =
    spec.problem === "tokens"
      ? (answers: readonly ArrayLike<number>[]) => ({
          agreement: shareOf(bestLabels(answers, spec.labels), bestLabels(theirs, spec.labels)),
        })
      : (answers: readonly ArrayLike<number>[]) => {
          const cosines = answers.map((own, i) => cosine(own, theirs[i]));
          return {
            cosine: cosines.reduce((sum, x) => sum + x, 0) / cosines.length,
            least_cosine: Math.min(...cosines),
          };
        };
  return { examples, dev: { texts, measure, ...paceOf(o) } };
}

/** Texts to learn from; to measure by those of `--dev`, or as many as `--hold-out` says. */
async function examplesIn(
  model: Pick<Model, "spec" | "tokenizer">,
  o: TrainingOptions,
): Promise<{ readonly examples: Example[]; readonly dev?: Example[] }> {
  const tokenizer = shortened(model, o.length);
  const all = (await examplesOf(o.data, model.spec, tokenizer)).slice(0, o.limit);
  if (o.dev !== undefined)
    return { examples: all, dev: (await examplesOf(o.dev, model.spec, tokenizer)).slice(0, o.devLimit) };
  if (o.holdOut === undefined) return { examples: all };
  const { left, held } = heldOut(all, o.holdOut);
  return { examples: left, dev: held };
}

async function examplesOf(path: string, spec: ModelSpec, tokenizer: TextTokenizer): Promise<Example[]> {
  const truncate = { truncate: true };
  if (spec.problem === "tokens")
    return eachRow(await readMarked(path), path, (row) =>
      tagged(row, spec, tokenizer.encodeWithSpans(row.text, undefined, truncate)),
    );
  const plain = (text: TokenizedText): Example => ({ text, label: 0 });
  if (answersTokens(spec))
    return eachRow(await readAsked(path), path, ({ question, context }) =>
      plain(tokenizer.encode(question, context, truncate)),
    );
  return eachRow(await readNumberedTexts(path), path, ({ text }) => plain(tokenizer.encode(text, undefined, truncate)));
}

/** Each token's label: that of the entity that it begins or goes on. Special tokens have none. */
function tagged({ entities }: MarkedText, { labelNames }: ModelSpec, { ids, types, spans }: SpannedText): Example {
  const number = (names: readonly string[]) => {
    const found = names.map((name) => labelNames.indexOf(name)).find((at) => at >= 0);
    if (found === undefined) throw new Error(`the model has no label ${names[0]}`);
    return found;
  };
  const tokenLabels = Int32Array.from(ids, (_, i) => {
    const span = spans[i];
    if (span == null) return -1;
    const entity = entities.find(({ start, end }) => start <= span.from && span.from < end);
    if (entity === undefined) return number([OUTSIDE]);
    const [begin, inside] = [`B-${entity.label}`, `I-${entity.label}`];
    return number(span.from === entity.start ? [begin, inside, entity.label] : [inside, begin, entity.label]);
  });
  return { text: { ids, types }, label: 0, tokenLabels };
}

/** The likeliest label of every token of all texts. */
function bestLabels(answers: readonly ArrayLike<number>[], labels: number): number[] {
  return answers.flatMap((rows) =>
    Array.from({ length: rows.length / labels }, (_, i) =>
      winner(Array.from({ length: labels }, (_, j) => rows[i * labels + j])),
    ),
  );
}

/** The share of tokens with a label that were given it. */
function shareOf(found: readonly number[], told: readonly number[]): number {
  const [own, right] = [
    told.filter((label) => label >= 0).length,
    found.filter((label, i) => label === told[i]).length,
  ];
  return own === 0 ? 0 : right / own;
}

/** Texts with what is right for them, for each kind of answer: what `evaluate` runs a model on, and how it measures the answers. */

import type { TextTokenizer } from "../models/tokenizer.ts";
import { type Asked, reading } from "../parties/answer.ts";
import type { ModelSpec, TokenizedText } from "../program/spec.ts";
import { labelValues, readLabelled } from "../tasks/labelled.ts";
import { agreement, cosine, measure, pearson, spearman, winner } from "../tasks/metrics.ts";
import { answerScores, entityScores, readAsked, readMarked } from "../tasks/spans.ts";
import { DataError, eachRow } from "../tasks/tables.ts";
import { type Task, taskOf } from "../tasks/tasks.ts";
import { UsageError } from "./failure.ts";
import { defaultMetrics } from "./training.ts";

export type Logits = readonly number[];

/** Texts, and what their answers are measured by. */
export interface Judged {
  /** What the model is run on: of sentences that are compared, both. */
  readonly texts: readonly TokenizedText[];
  /** The line of each in the file. */
  readonly lines: readonly number[];
  /** By name, the one that counts first. */
  measure(logits: readonly Logits[]): Readonly<Record<string, number>>;
  /** How alike two runs' answers are: the share that is the same, and what else tells it. */
  alike(a: readonly Logits[], b: readonly Logits[]): { readonly agreement: number; readonly least_cosine?: number };
}

interface Given {
  readonly spec: ModelSpec;
  readonly tokenizer: TextTokenizer;
}

/** Where texts are, and how they are to be read. */
interface Place {
  readonly data: string;
  readonly task?: string;
  readonly limit?: number;
}

/** Reads texts as the model's kind of answer needs them. @throws DataError with file and line; UsageError for a task of other answers. */
export async function judgedOf(model: Given, place: Place): Promise<Judged> {
  const { problem, labels } = model.spec;
  const task = place.task === undefined ? undefined : taskOf(place.task);
  switch (problem) {
    case "classification":
      return oneAnswer(model, place, task);
    case "regression":
      if (labels > 1) throw new UsageError("evaluate measures a regression of one value: give another model");
      return oneAnswer(model, place, task);
    case "vector":
      return similarities(model, place, task);
    case "labels":
    case "tokens":
    case "spans":
      if (task !== undefined)
        throw new UsageError("--task is for models that give a text one label, one value or a vector");
      if (problem === "labels") return severalLabels(model, place);
      return problem === "tokens" ? entities(model, place) : answers(model, place);
    case "mask":
      throw new UsageError("a model that fills masked words has no labels: ask it with infer");
    case "generation":
      throw new UsageError("a model that continues texts has no labels: give plain texts");
    default:
      throw new UsageError(`evaluate does not know answers of this kind: ${problem satisfies never}`);
  }
}

async function oneAnswer({ spec, tokenizer }: Given, { data, limit }: Place, task?: Task): Promise<Judged> {
  const rows = await readLabelled(data, task, limit);
  const labels = labelValues(rows, spec, data, task);
  const metrics = task?.metrics ?? defaultMetrics(spec);
  const range = Math.max(...labels) - Math.min(...labels);
  return {
    texts: eachRow(rows, data, ({ text, pair }) => tokenizer.encode(text, pair, { truncate: true })),
    lines: rows.map(({ line }) => line),
    measure: (logits) => measure(metrics, logits, labels),
    // Of regressions, values within 1% of the range of the labels are the same.
    alike: (a, b) => ({
      agreement:
        spec.problem === "regression"
          ? share(a, (row, i) => Math.abs(row[0] - b[i][0]) <= 0.01 * range)
          : agreement(a.map(winner), b.map(winner)),
    }),
  };
}

/** Sentences in pairs and how alike they are, against the cosine of their vectors. */
async function similarities({ tokenizer }: Given, { data, limit }: Place, task?: Task): Promise<Judged> {
  const rows = await readLabelled(data, task, limit);
  const labels = labelValues(rows, { problem: "regression", labelNames: [] }, data);
  const pairs = eachRow(rows, data, ({ text, pair }) => {
    if (pair === undefined)
      throw new DataError("a pair is missing: embeddings are measured by how alike two texts are");
    return [text, pair].map((one) => tokenizer.encode(one, undefined, { truncate: true }));
  });
  const cosines = (all: readonly Logits[]) => labels.map((_, i) => cosine(all[2 * i], all[2 * i + 1]));
  return {
    texts: pairs.flat(),
    lines: rows.flatMap(({ line }) => [line, line]),
    measure(all) {
      const values = cosines(all);
      return { spearman: spearman(values, labels), pearson: pearson(values, labels) };
    },
    alike(a, b) {
      const [own, theirs] = [cosines(a), cosines(b)];
      const least = a.reduce((most, row, i) => Math.min(most, cosine(row, b[i])), 1);
      return { agreement: share(own, (x, i) => Math.abs(x - theirs[i]) <= 0.01), least_cosine: least };
    },
  };
}

/** Several labels of a text, in one field with `|` between them; an empty one is `-`. */
async function severalLabels({ spec, tokenizer }: Given, { data, limit }: Place): Promise<Judged> {
  const rows = await readLabelled(data, undefined, limit);
  const wanted = rows.map(({ label, line }) => {
    const names = label === "-" ? [] : label.split("|");
    const unknown = names.find((name) => !spec.labelNames.includes(name));
    if (unknown !== undefined) throw new DataError(`${data}, line ${line}: a label is none of the model's`);
    return spec.labelNames.map((name) => names.includes(name));
  });
  const told = (row: Logits) => row.map((x) => x > 0);
  const each = (of: (own: readonly boolean[], i: number) => number, all: readonly Logits[]) =>
    all.reduce((sum, row, i) => sum + of(told(row), i), 0);
  return {
    texts: eachRow(rows, data, ({ text, pair }) => tokenizer.encode(text, pair, { truncate: true })),
    lines: rows.map(({ line }) => line),
    measure(all) {
      const hits = each((own, i) => own.filter((x, j) => x && wanted[i][j]).length, all);
      const told = each((own, i) => own.filter(Boolean).length + wanted[i].filter(Boolean).length, all);
      const right = (j: number) => each((own, i) => Number(own[j] === wanted[i][j]), all) / all.length;
      const perLabel = spec.labelNames.map((name, j) => [`accuracy of ${name}`, right(j)] as const);
      const accuracy = perLabel.reduce((sum, [, x]) => sum + x, 0) / perLabel.length;
      return { f1: told === 0 ? 0 : (2 * hits) / told, accuracy, ...Object.fromEntries(perLabel) };
    },
    alike: (a, b) => ({ agreement: share(a, (row, i) => `${told(row)}` === `${told(b[i])}`) }),
  };
}

async function entities(model: Given, { data, limit }: Place): Promise<Judged> {
  const rows = await readMarked(data, limit);
  const asked = eachRow(rows, data, ({ text }): Asked => {
    return { text, encoded: model.tokenizer.encodeWithSpans(text), tokenizer: model.tokenizer };
  });
  const found = (all: readonly Logits[]) =>
    all.map((row, i) =>
      (reading(model.spec, row, asked[i]).entities ?? []).map(({ entity_group, start, end }) => ({
        label: entity_group,
        start,
        end,
      })),
    );
  return {
    texts: asked.map(({ encoded }) => encoded),
    lines: rows.map(({ line }) => line),
    measure: (all) =>
      entityScores(
        found(all),
        rows.map((row) => row.entities),
      ),
    alike(a, b) {
      const [own, theirs] = [found(a), found(b)].map((all) => all.map((spans) => JSON.stringify(spans)));
      return { agreement: share(own, (one, i) => one === theirs[i]) };
    },
  };
}

async function answers(model: Given, { data, limit }: Place): Promise<Judged> {
  const rows = await readAsked(data, limit);
  const asked = eachRow(rows, data, ({ question, context }): Asked => {
    const encoded = model.tokenizer.encodeWithSpans(question, context);
    return { text: question, pair: context, encoded, tokenizer: model.tokenizer };
  });
  const found = (all: readonly Logits[]) =>
    all.map((row, i) => reading(model.spec, row, asked[i]).answer?.answer ?? "");
  return {
    texts: asked.map(({ encoded }) => encoded),
    lines: rows.map(({ line }) => line),
    measure: (all) =>
      answerScores(
        found(all),
        rows.map((row) => row.answers),
      ),
    alike(a, b) {
      const [own, theirs] = [found(a), found(b)];
      return { agreement: share(own, (one, i) => one === theirs[i]) };
    },
  };
}

function share<T>(all: readonly T[], is: (one: T, i: number) => boolean): number {
  return all.filter(is).length / all.length;
}

/** Labelled texts of a file, read as its task lays them out. */

import { DataError, formatOf, type Row, readTable } from "./tables.ts";
import { type Column, PLAIN, type Task } from "./tasks.ts";

export interface LabelledText {
  readonly text: string;
  readonly pair?: string;
  /** As the file writes it: a class's name or number, or the value of a regression. */
  readonly label: string;
  /** Line in the file, from 1. */
  readonly line: number;
}

/** What of a model decides how labels are read. */
export interface LabelSpace {
  readonly problem: string;
  readonly labelNames: readonly string[];
}

/**
 * Reads labelled texts: a header names the columns, or they stand where the task has them.
 * @throws DataError with file and line; never with the line's content.
 */
export async function readLabelled(
  path: string,
  task: Task = PLAIN,
  limit = Number.POSITIVE_INFINITY,
): Promise<LabelledText[]> {
  const wanted: readonly (Column | undefined)[] = [task.text, task.pair, task.label];
  const format = path.endsWith(".jsonl") ? "jsonl" : (task.format ?? formatOf(path));
  const rows = await readTable(
    path,
    format,
    wanted.map((column) => column?.names ?? []),
  );
  if (rows.length === 0) {
    throw new DataError(`${path} has no labelled texts: give one with a text and a label on each line`);
  }
  if (format === "jsonl") return rows.slice(0, limit).map((row) => labelled(row, [0, 1, 2], path));
  const { places, header } = placesOf(rows[0], task, path);
  const width = rows[0].fields.length;
  const texts = rows.slice(header ? 1 : 0, limit + (header ? 1 : 0)).map((row) => {
    // Named columns are all there is; files with fixed places may carry more behind them.
    const fits = header
      ? row.fields.length === width
      : row.fields.length > Math.max(...places) && row.fields.length >= 2;
    if (!fits)
      throw new DataError(`${path}, line ${row.line}: ${row.fields.length} columns where ${width} are expected`);
    return labelled(row, places, path);
  });
  if (texts.length === 0)
    throw new DataError(`${path} has no labelled texts: give one with a text and a label on each line`);
  return texts;
}

/**
 * Labels as the model's class numbers, or as values. A name is one of the model's; its letters' case, `_`, `-` and spaces do not count.
 * A number is the model's, or with a task that has names the task's: the model may have the same names in another order.
 * @throws DataError with file and line where a label is none of the model's, and for a model with other names than the task's.
 */
export function labelValues(
  rows: readonly LabelledText[],
  space: LabelSpace,
  path: string,
  task: Pick<Task, "labels"> = PLAIN,
): number[] {
  if (space.problem === "regression") return rows.map((row) => regressionValue(row, path));
  const byName = new Map(space.labelNames.map((name, i) => [plainly(name), i]));
  const byNumber = numbered(space.labelNames, byName, task.labels ?? null, path);
  return rows.map(({ label, line }) => {
    const exact = space.labelNames.indexOf(label);
    const index = exact >= 0 ? exact : (byName.get(plainly(label)) ?? byNumber.get(label));
    if (index !== undefined) return index;
    const spaces = label === label.trim() ? "" : "; it has spaces around it";
    throw new DataError(
      `${path}, line ${line}: the label is none of 0 to ${space.labelNames.length - 1}, nor one of the classes' names${spaces}`,
    );
  });
}

function regressionValue({ label, line }: LabelledText, path: string): number {
  const value = Number(label);
  if (Number.isFinite(value)) return value;
  throw new DataError(`${path}, line ${line}: the label is not a number, as a regression needs it`);
}

/** The model's class for each label as a file may number or name it. @throws DataError when the task's names are not the model's. */
function numbered(
  names: readonly string[],
  byName: ReadonlyMap<string, number>,
  task: readonly string[] | null,
  path: string,
): ReadonlyMap<string, number> {
  const own = new Map(names.map((_, i) => [String(i), i]));
  if (task === null) return own;
  if (names.every((name, i) => name === placeholder(i))) {
    // The model says nothing of its classes: they are the task's, in its order.
    return new Map([...own, ...task.slice(0, names.length).map((name, i) => [name, i] as const)]);
  }
  const classes = task.map((name) => byName.get(plainly(name)));
  if (classes.length !== names.length || classes.includes(undefined)) {
    throw new DataError(
      `${path}: the task's labels are ${task.join(", ")}, the model's are others: leave --task out, or name them so in its config.json`,
    );
  }
  return new Map(classes.map((index, i) => [String(i), index!]));
}

/** What a model's class is called that has no name. */
function placeholder(index: number): string {
  return `LABEL_${index}`;
}

/** A name without what writers of it do differently. */
function plainly(name: string): string {
  return name.toLowerCase().replace(/[_\- ]+/g, " ");
}

/** The classes that a file's own labels name, in the order of their names, or of their numbers from 0. */
export function labelsIn(rows: readonly LabelledText[]): string[] {
  const distinct = [...new Set(rows.map(({ label }) => label))];
  if (!distinct.every((label) => /^\d+$/.test(label))) return distinct.sort();
  return Array.from({ length: Math.max(...distinct.map(Number)) + 1 }, (_, i) => placeholder(i));
}

function placesOf(first: Row, task: Task, path: string): { places: [number, number, number]; header: boolean } {
  const names = first.fields.map((field) => field.trim().toLowerCase());
  const find = (column: Column | undefined) => names.findIndex((name) => column?.names.includes(name) ?? false);
  const [text, pair, label] = [find(task.text), find(task.pair), find(task.label)];
  const pairFits = pair >= 0 || task.pair === undefined || task === PLAIN;
  if (text >= 0 && label >= 0 && pairFits) return { places: [text, pair, label], header: true };
  const fixed = [task.text.at, task.pair === undefined ? -1 : (task.pair.at ?? -1), task.label.at] as const;
  const [textAt, pairAt, labelAt] = fixed;
  const known =
    textAt !== undefined && labelAt !== undefined && (task === PLAIN || task.pair === undefined || pairAt >= 0);
  const most = Math.max(textAt ?? 0, pairAt, labelAt ?? 0);
  if (!known || first.fields.length <= most || (most === 1 && first.fields.length !== 2)) {
    const columns = [task.text, task.pair, task.label].flatMap((column) =>
      column === undefined ? [] : [column.names[0]],
    );
    const list = task === PLAIN ? "sentence (and sentence2) and label" : columns.join(", ");
    throw new DataError(`${path}, line ${first.line}: name the columns in a header: ${list}`);
  }
  return { places: [textAt, pairAt, labelAt], header: false };
}

function labelled({ fields, line }: Row, [text, pair, label]: readonly number[], path: string): LabelledText {
  if (fields[text].trim() === "") throw new DataError(`${path}, line ${line}: the text is empty`);
  if (fields[label].trim() === "") throw new DataError(`${path}, line ${line}: the label is empty`);
  const second = pair < 0 || fields[pair].trim() === "" ? {} : { pair: fields[pair] };
  // Spaces around a text are part of it: for many tokenizers they make other tokens.
  return { text: fields[text], ...second, label: fields[label], line };
}

/** Labelled parts of texts: entities in words, and answers to questions; how they are read and measured. */

import { readTextFile } from "../files/text.ts";
import { DataError } from "./tables.ts";

/** A part of a text and what it is, in UTF-16 units. */
export interface Span {
  readonly label: string;
  readonly start: number;
  readonly end: number;
}

/** A text whose entities are known. */
export interface MarkedText {
  readonly text: string;
  readonly entities: readonly Span[];
  /** Line in the file, from 1, where it begins. */
  readonly line: number;
}

/** A question, its text, and the answers that count as right; none where the text has no answer. */
export interface AskedText {
  readonly question: string;
  readonly context: string;
  readonly answers: readonly string[];
  readonly line: number;
}

/**
 * Reads words with tags: CoNLL's layout (a word and its tag a line, the first and last columns; a blank line behind each text), or JSONL
 * with `tokens` and `tags`. Texts are their words with a space between.
 * @throws DataError with file and line.
 */
export async function readMarked(path: string, limit = Number.POSITIVE_INFINITY): Promise<MarkedText[]> {
  const content = await readTextFile(path);
  const texts = path.endsWith(".jsonl") ? jsonMarked(content, path) : conll(content, path);
  if (texts.length === 0) throw new DataError(`${path} has no texts: give words with their tags, one a line`);
  return texts.slice(0, limit);
}

/**
 * Reads questions: JSONL with `question`, `context` and `answers` (SQuAD's `{"text": [...]}`, or a list of texts).
 * @throws DataError with file and line.
 */
export async function readAsked(path: string, limit = Number.POSITIVE_INFINITY): Promise<AskedText[]> {
  const rows = jsonLines(await readTextFile(path), path);
  if (rows.length === 0) throw new DataError(`${path} has no questions: give JSONL with question, context and answers`);
  return rows.slice(0, limit).map(({ row, line }) => {
    const { question, context, answers } = row;
    const given = isObject(answers) ? answers.text : answers;
    if (typeof question !== "string" || typeof context !== "string" || !areStrings(given))
      throw new DataError(`${path}, line ${line}: give question, context and answers, a list of texts`);
    return { question, context, answers: given, line };
  });
}

function conll(content: string, path: string): MarkedText[] {
  const texts: MarkedText[] = [];
  let [words, tags, begin]: [string[], string[], number] = [[], [], 1];
  const end = () => {
    if (words.length > 0) texts.push({ ...marked(words, tags), line: begin });
    [words, tags] = [[], []];
  };
  for (const [i, text] of content.split(/\r?\n/).entries()) {
    if (text.trim() === "" || text.startsWith("-DOCSTART-")) {
      end();
      continue;
    }
    const columns = text.split(/[\t ]+/);
    if (columns.length < 2) throw new DataError(`${path}, line ${i + 1}: a word has no tag`);
    if (words.length === 0) begin = i + 1;
    words.push(columns[0]);
    tags.push(columns[columns.length - 1]);
  }
  end();
  return texts;
}

function jsonMarked(content: string, path: string): MarkedText[] {
  return jsonLines(content, path).map(({ row, line }) => {
    const [words, tags] = [row.tokens, row.tags ?? row.ner_tags];
    if (!areStrings(words) || !areStrings(tags) || words.length !== tags.length || words.length === 0)
      throw new DataError(`${path}, line ${line}: give tokens and tags, two lists of texts of one length`);
    return { ...marked(words, tags), line };
  });
}

/** Words as a text, their tags (B-, I-, O) as entities: an I- that follows no entity of its kind begins one. */
function marked(words: readonly string[], tags: readonly string[]): Pick<MarkedText, "text" | "entities"> {
  const entities: Span[] = [];
  let [at, before] = [0, ""];
  words.forEach((word, i) => {
    const [, mark, label] = /^([BI])-(.*)$/su.exec(tags[i]) ?? [];
    const last = entities.at(-1);
    const end = at + word.length;
    if (label !== undefined && mark === "I" && before === label && last !== undefined)
      entities[entities.length - 1] = { ...last, end };
    else if (label !== undefined) entities.push({ label, start: at, end });
    before = label ?? "";
    at = end + 1;
  });
  return { text: words.join(" "), entities };
}

interface JsonLine {
  readonly row: Readonly<Record<string, unknown>>;
  readonly line: number;
}

function jsonLines(content: string, path: string): JsonLine[] {
  return content.split(/\r?\n/).flatMap((text, i) => {
    if (text.trim() === "") return [];
    try {
      const row: unknown = JSON.parse(text);
      if (isObject(row)) return [{ row, line: i + 1 }];
    } catch {
      // As what is no object.
    }
    throw new DataError(`${path}, line ${i + 1}: not JSON with fields`);
  });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function areStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

/** Precision, recall and their harmonic mean over all texts' entities: one counts as found where label, beginning and end are right. */
export function entityScores(
  found: readonly (readonly Span[])[],
  wanted: readonly (readonly Span[])[],
): { readonly f1: number; readonly precision: number; readonly recall: number } {
  const keys = (spans: readonly Span[]) => new Set(spans.map(({ label, start, end }) => `${start} ${end} ${label}`));
  let [right, all, known] = [0, 0, 0];
  found.forEach((spans, i) => {
    const [own, theirs] = [keys(spans), keys(wanted[i])];
    right += [...own].filter((key) => theirs.has(key)).length;
    all += own.size;
    known += theirs.size;
  });
  const share = (of: number) => (of === 0 ? 0 : right / of);
  return { f1: all + known === 0 ? 0 : (2 * right) / (all + known), precision: share(all), recall: share(known) };
}

/** SQuAD's measures (Rajpurkar et al., arXiv:1606.05250), each answer against the best of those that count as right. */
export function answerScores(
  found: readonly string[],
  wanted: readonly (readonly string[])[],
): { readonly f1: number; readonly exact_match: number } {
  const best = (score: (answer: string, right: string) => number) =>
    found.reduce((sum, answer, i) => {
      const rights = wanted[i].length === 0 ? [""] : wanted[i];
      return sum + Math.max(...rights.map((right) => score(answer, right)));
    }, 0) / Math.max(1, found.length);
  return { f1: best(wordF1), exact_match: best((a, b) => Number(plainAnswer(a) === plainAnswer(b))) };
}

function wordF1(answer: string, right: string): number {
  const [a, b] = [answer, right].map((text) => plainAnswer(text).split(" ").filter(Boolean));
  if (a.length === 0 || b.length === 0) return Number(a.length === b.length);
  const left = [...b];
  const common = a.filter((word) => {
    const at = left.indexOf(word);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  }).length;
  return (2 * common) / (a.length + b.length);
}

/** Without case, marks and articles. */
function plainAnswer(text: string): string {
  const bare = text.toLowerCase().replace(/[!-/:-@[-`{-~]/g, "");
  return bare
    .replace(/\b(a|an|the)\b/g, " ")
    .split(/\s+/)
    .filter(Boolean)
    .join(" ");
}

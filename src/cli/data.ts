/** Text files: labelled ones for evaluation (TSV, CSV, JSONL), plain ones for calibration. */
import { readFile } from "node:fs/promises";
import { UsageError } from "./terminal.ts";

export interface LabelledText {
  readonly text: string;
  readonly pair?: string;
  /** A class index, or the target of a regression. */
  readonly label: number;
  /** Line in the file, from 1. */
  readonly line: number;
}

interface Row {
  readonly fields: readonly string[];
  readonly line: number;
}

const TEXT_NAMES = ["sentence", "text", "sentence1", "question1", "premise", "question"];
const PAIR_NAMES = ["sentence2", "pair", "question2", "hypothesis"];
const LABEL_NAMES = ["label", "score", "gold_label"];

/**
 * Reads labelled texts. TSV as SST-2 has it (`sentence<TAB>label`, header optional), CSV with quotes, or JSONL; columns are
 * found by their names.
 * @throws UsageError with file and line; never with the line's content.
 */
export async function readLabelled(path: string, limit = Number.POSITIVE_INFINITY): Promise<LabelledText[]> {
  const content = await readUtf8(path);
  const all = path.endsWith(".jsonl") ? fromJsonl(content, path) : fromTable(content, path);
  if (all.length === 0)
    throw new UsageError(`${path} has no labelled texts: give one with a text and a label on each line`);
  return all.slice(0, limit);
}

/** The file's lines that are not empty. @throws UsageError when it cannot be read or has none. */
export async function readTexts(path: string): Promise<string[]> {
  const lines = (await readUtf8(path)).split(/\r?\n/).map((l) => l.trim());
  const texts = lines.filter((l) => l !== "");
  if (texts.length === 0) throw new UsageError(`${path} has no texts: give one a line`);
  return texts;
}

async function readUtf8(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch {
    throw new UsageError(`cannot read ${path}: give the path of a text file`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    let line = 1;
    const decoder = new TextDecoder("utf-8", { fatal: true });
    for (let start = 0; start < bytes.length; line++) {
      const end = bytes.indexOf(10, start);
      const stop = end < 0 ? bytes.length : end;
      try {
        decoder.decode(bytes.subarray(start, stop));
      } catch {
        break;
      }
      start = stop + 1;
    }
    throw new UsageError(`${path}, line ${line}: not UTF-8; convert the file`);
  }
}

function fromTable(content: string, path: string): LabelledText[] {
  const rows = path.endsWith(".csv") ? csvRows(content, path) : tsvRows(content);
  if (rows.length === 0) return [];
  const header = rows[0].fields.map((f) => f.trim().toLowerCase());
  const find = (names: readonly string[]) => header.findIndex((h) => names.includes(h));
  const named = find(TEXT_NAMES) >= 0 && find(LABEL_NAMES) >= 0;
  if (!named && header.length !== 2) {
    throw new UsageError(`${path}, line 1: name the columns in a header: sentence (and sentence2) and label`);
  }
  const [text, pair, label] = named ? [find(TEXT_NAMES), find(PAIR_NAMES), find(LABEL_NAMES)] : [0, -1, 1];
  return rows.slice(named ? 1 : 0).map(({ fields, line }) => {
    if (fields.length !== header.length) {
      throw new UsageError(`${path}, line ${line}: ${fields.length} columns where ${header.length} are expected`);
    }
    return labelled(fields[text], pair < 0 ? undefined : fields[pair], fields[label], path, line);
  });
}

function tsvRows(content: string): Row[] {
  const lines = content.split(/\r?\n/).map((l, i) => ({ fields: l.split("\t"), line: i + 1 }));
  return lines.filter((r) => r.fields.length > 1 || r.fields[0] !== "");
}

/** RFC 4180: quoted fields may hold commas, quotes (doubled) and line ends. */
function csvRows(content: string, path: string): Row[] {
  const rows: Row[] = [];
  let [fields, field, quoted, line, start]: [string[], string, boolean, number, number] = [[], "", false, 1, 1];
  const endRow = () => {
    fields.push(field);
    if (fields.length > 1 || fields[0] !== "") rows.push({ fields, line: start });
    [fields, field] = [[], ""];
  };
  for (let i = 0; i < content.length; i++) {
    const c = content[i];
    if (c === "\n") line++;
    if (quoted) {
      if (c !== '"') field += c;
      else if (content[i + 1] === '"') field += content[i++];
      else quoted = false;
    } else if (c === '"' && field === "") quoted = true;
    else if (c === ",") {
      fields.push(field);
      field = "";
    } else if (c === "\n") {
      endRow();
      start = line;
    } else if (c !== "\r") field += c;
  }
  if (quoted) throw new UsageError(`${path}, line ${start}: a quote is not closed`);
  if (field !== "" || fields.length > 0) endRow();
  return rows;
}

function fromJsonl(content: string, path: string): LabelledText[] {
  const lines = content.split(/\r?\n/).map((text, i) => ({ text, line: i + 1 }));
  return lines
    .filter((l) => l.text.trim() !== "")
    .map(({ text, line }) => {
      let row: Record<string, unknown>;
      try {
        row = JSON.parse(text) as Record<string, unknown>;
      } catch {
        throw new UsageError(`${path}, line ${line}: not JSON`);
      }
      const pick = (names: readonly string[]) => names.map((n) => row[n]).find((x) => x !== undefined);
      const [sentence, pair] = [pick(TEXT_NAMES), pick(PAIR_NAMES)];
      if (typeof sentence !== "string") throw new UsageError(`${path}, line ${line}: no "sentence" or "text"`);
      return labelled(
        sentence,
        typeof pair === "string" ? pair : undefined,
        String(pick(LABEL_NAMES) ?? ""),
        path,
        line,
      );
    });
}

function labelled(text: string, pair: string | undefined, label: string, path: string, line: number): LabelledText {
  const value = Number(label);
  if (label.trim() === "" || !Number.isFinite(value)) {
    throw new UsageError(
      `${path}, line ${line}: the label is not a number; use class numbers from 0, or the regression's value`,
    );
  }
  if (text.trim() === "") throw new UsageError(`${path}, line ${line}: the text is empty`);
  return { text: text.trim(), ...(pair === undefined ? {} : { pair: pair.trim() }), label: value, line };
}

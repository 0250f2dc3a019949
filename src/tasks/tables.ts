/** Text files as rows of named or numbered fields: TSV, CSV, JSONL; and plain texts, one a line. */

import { readTextFile } from "../files/text.ts";

/** A mistake in a file that one line explains: the file, the line, what to do; never the line's content. */
export class DataError extends Error {
  override readonly name = "DataError";
}

export type TableFormat = "tsv" | "csv" | "jsonl";

/** A row's fields, and its line in the file, from 1. */
export interface Row {
  readonly fields: readonly string[];
  readonly line: number;
}

/** The rows of a file. JSONL's are put into the order of `columns`, the first name of each that a row has. */
export async function readTable(
  path: string,
  format: TableFormat,
  columns: readonly (readonly string[])[],
): Promise<Row[]> {
  const content = await readTextFile(path);
  if (format === "jsonl") return jsonRows(content, path, columns);
  return format === "csv" ? csvRows(content, path) : tsvRows(content);
}

/** The format that a file's name says; TSV where it says nothing. */
export function formatOf(path: string): TableFormat {
  if (path.endsWith(".jsonl")) return "jsonl";
  return path.endsWith(".csv") ? "csv" : "tsv";
}

/** A text of a file, and its line, from 1. */
export interface PlainText {
  readonly text: string;
  readonly line: number;
}

/** The file's lines that are not blank, each as it stands. @throws FileError when it cannot be read, DataError when it has none. */
export async function readTexts(path: string): Promise<string[]> {
  return (await readNumberedTexts(path)).map(({ text }) => text);
}

/** The same with the numbers of their lines. Of JSONL, each line's field "text", which may have lines of its own. @throws as `readTexts` does. */
export async function readNumberedTexts(path: string): Promise<PlainText[]> {
  const content = await readTextFile(path);
  const lines =
    formatOf(path) === "jsonl"
      ? jsonRows(content, path, [["text"]]).map(({ fields: [text], line }) => ({ text, line }))
      : content.split(/\r?\n/).map((text, i) => ({ text, line: i + 1 }));
  const texts = lines.filter(({ text }) => text.trim() !== "");
  if (texts.length === 0) throw new DataError(`${path} has no texts: give one a line`);
  return texts;
}

/** What `read` makes of each row. @throws DataError with file and line where it throws. */
export function eachRow<R extends { readonly line: number }, T>(
  rows: readonly R[],
  path: string,
  read: (row: R) => T,
): T[] {
  return rows.map((row) => {
    try {
      return read(row);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new DataError(`${path}, line ${row.line}: ${why}`, { cause });
    }
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
  if (quoted) throw new DataError(`${path}, line ${start}: a quote is not closed`);
  if (field !== "" || fields.length > 0) endRow();
  return rows;
}

function jsonRows(content: string, path: string, columns: readonly (readonly string[])[]): Row[] {
  const lines = content.split(/\r?\n/).map((text, i) => ({ text, line: i + 1 }));
  return lines
    .filter((l) => l.text.trim() !== "")
    .map(({ text, line }) => {
      const row = objectOf(text);
      if (row === undefined) throw new DataError(`${path}, line ${line}: not JSON with fields`);
      const fields = columns.map((names) => {
        const value = names.map((name) => row[name]).find((x) => x !== undefined);
        return typeof value === "string" || typeof value === "number" ? String(value) : "";
      });
      return { fields, line };
    });
}

function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

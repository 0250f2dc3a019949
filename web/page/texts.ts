/** Files of texts, read in slices, and answers as CSV. */
import type { ClassifiedLine } from "./messages.ts";
import { entitiesIn } from "./words.ts";

/** More of them are more than a page is for: `mpcformer infer` in a loop is. */
const MOST_TEXTS = 10_000;
const MOST_BYTES = 16 << 20;

/** A text of a file, and its line there, from 1. */
export interface FileText {
  readonly text: string;
  readonly line: number;
}

/** One text a line, each as it stands; blank lines are none. @throws Error for a file that holds no texts, or too many. */
export async function textsOf(file: Blob): Promise<FileText[]> {
  if (file.size > MOST_BYTES) throw new Error("the file has more than 16 MB: split it");
  const texts: FileText[] = [];
  let line = 0;
  let rest = "";
  const reader = file
    .stream()
    .pipeThrough(new TextDecoderStream("utf-8", { fatal: true }))
    .getReader();
  for (;;) {
    const { done, value = "" } = await reader.read().catch(() => {
      throw new Error("the file is not plain text (UTF-8): save it as that");
    });
    const lines = (rest + value).split(/\r?\n/);
    rest = done ? "" : lines.pop()!;
    for (const text of lines) {
      line++;
      if (text.trim() !== "") texts.push({ text, line });
    }
    if (texts.length > MOST_TEXTS)
      throw new Error(`the file has more than ${MOST_TEXTS.toLocaleString("en")} texts: split it`);
    if (done) break;
  }
  if (texts.length === 0) throw new Error("the file has no texts: put one on each line");
  return texts;
}

/** Line, text, answer and each label's score; a row a text. */
export function csvParts(
  texts: readonly FileText[],
  results: readonly (ClassifiedLine | undefined)[],
  labels: readonly string[],
): string[] {
  const head = ["line", "text", "answer", ...labels, "error"];
  const rows = texts.map((text, i) => rowOf(text, results[i], labels.length));
  return [head, ...rows].map((cells) => `${cells.map(quoted).join(",")}\r\n`);
}

function rowOf({ text, line }: FileText, result: ClassifiedLine | undefined, labels: number): string[] {
  const start = [String(line), text];
  if (result === undefined || "error" in result)
    return [...start, "", ...Array<string>(labels).fill(""), result === undefined ? "not asked" : result.error];
  const { label, value, entities, scores = [] } = result.answer;
  const judged = label ?? value?.toFixed(6) ?? (entities ? entitiesIn(entities) : "");
  const cells = Array.from({ length: labels }, (_, i) => scores[i]?.toFixed(6) ?? "");
  return [...start, judged, ...cells, ""];
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

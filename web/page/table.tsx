/** Texts and their answers, a page of them at a time: ten thousand rows would block a browser. */
import { useState } from "preact/hooks";
import type { ClassifiedLine } from "./messages.ts";
import type { FileText } from "./texts.ts";
import { entitiesIn, percentOf } from "./words.ts";

const ROWS = 50;

type Answered = Extract<ClassifiedLine, { answer: unknown }>["answer"];

interface Given {
  readonly texts: readonly FileText[];
  readonly results: readonly (ClassifiedLine | undefined)[];
}

export function Table({ texts, results }: Given) {
  const [page, setPage] = useState(0);
  const pages = Math.ceil(texts.length / ROWS);
  const first = Math.min(page, pages - 1) * ROWS;
  return (
    <>
      <table class="lines">
        <caption class="unseen">Texts and their answers</caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              Line
            </th>
            <th scope="col">Text</th>
            <th scope="col">Answer</th>
            <th scope="col" class="number">
              Score
            </th>
          </tr>
        </thead>
        <tbody>
          {texts.slice(first, first + ROWS).map(({ text, line }, i) => (
            <Row key={line} line={line} text={text} result={results[first + i]} />
          ))}
        </tbody>
      </table>
      {pages > 1 && <Pager {...{ first, count: texts.length, page, pages, setPage }} />}
    </>
  );
}

function Row({ line, text, result }: { line: number; text: string; result: ClassifiedLine | undefined }) {
  const answer = result !== undefined && "answer" in result ? result.answer : null;
  const failed = result !== undefined && "error" in result ? result.error : null;
  return (
    <tr>
      <td class="number">{line}</td>
      <td class="words">{text.length > 300 ? `${text.slice(0, 300)}…` : text}</td>
      {failed === null ? (
        <>
          <td>{wordsOf(answer)}</td>
          <td class="number">{scoreOf(answer)}</td>
        </>
      ) : (
        <td colSpan={2} class="failed">
          {failed}
        </td>
      )}
    </tr>
  );
}

function wordsOf(answer: Answered | null): string {
  if (answer === null) return "…";
  return answer.label ?? (answer.entities ? entitiesIn(answer.entities) : "");
}

function scoreOf(answer: Answered | null): string {
  if (answer === null) return "";
  if (answer.value !== undefined) return answer.value.toFixed(3);
  return answer.scores === undefined ? "–" : percentOf(answer.scores[answer.index!]);
}

interface PagerGiven {
  readonly first: number;
  readonly count: number;
  readonly page: number;
  readonly pages: number;
  setPage(page: number): void;
}

function Pager({ first, count, page, pages, setPage }: PagerGiven) {
  const to = (next: number) => () => {
    if (next >= 0 && next < pages) setPage(next);
  };
  return (
    <nav class="actions" aria-label="Pages of the table">
      <button type="button" onClick={to(page - 1)} aria-disabled={page === 0}>
        Previous
      </button>
      <span>
        {first + 1} to {Math.min(first + ROWS, count)} of {count.toLocaleString("en")}
      </span>
      <button type="button" onClick={to(page + 1)} aria-disabled={page === pages - 1}>
        Next
      </button>
    </nav>
  );
}

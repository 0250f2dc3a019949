/** A text with its entities marked, and the same as a list. */
import type { Entity } from "../../src/answers/entities.ts";
import { percentOf } from "./words.ts";

/** Colours that kinds of entities have; behind them they begin again. */
const TONES = 6;

interface Given {
  /** All labels of the model, from which each kind has its colour. */
  readonly labels: readonly string[];
  readonly text: string;
  /** Null before there is an answer. */
  readonly entities: readonly Entity[] | null;
}

export function Entities({ labels, text, entities }: Given) {
  const kinds = kindsOf(labels);
  const tone = (kind: string) => `kind tone-${Math.max(kinds.indexOf(kind), 0) % TONES}`;
  return (
    <>
      <p class="marked">{entities === null ? "–" : <Marked text={text} entities={entities} tone={tone} />}</p>
      {entities?.length === 0 && <p class="quiet">No part of this text is one of {kinds.join(", ")}.</p>}
      {entities !== null && entities.length > 0 && <Found entities={entities} tone={tone} />}
    </>
  );
}

type Tone = (kind: string) => string;

function Marked({ text, entities, tone }: { text: string; entities: readonly Entity[]; tone: Tone }) {
  const parts = entities.flatMap(({ start, end, entity_group: kind }, i) => [
    text.slice(i === 0 ? 0 : entities[i - 1].end, start),
    <mark key={start} class={tone(kind)}>
      {text.slice(start, end)}
      {/* The list says it to those who hear. */}
      <span class="tag" aria-hidden="true">
        {kind}
      </span>
    </mark>,
  ]);
  return (
    <>
      {parts}
      {text.slice(entities.at(-1)?.end ?? 0)}
    </>
  );
}

function Found({ entities, tone }: { entities: readonly Entity[]; tone: Tone }) {
  return (
    <table class="found">
      <caption class="unseen">Entities in the text</caption>
      <thead>
        <tr>
          <th scope="col">Part</th>
          <th scope="col">Kind</th>
          <th scope="col" class="number">
            Score
          </th>
        </tr>
      </thead>
      <tbody>
        {entities.map(({ word, entity_group: kind, score, start }) => (
          <tr key={start}>
            <td>{word}</td>
            <td>
              <span class={tone(kind)}>{kind}</span>
            </td>
            <td class="number">{percentOf(score)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The labels' kinds, each once: "PER" of "B-PER" and "I-PER"; "O" is none. */
function kindsOf(labels: readonly string[]): string[] {
  return [...new Set(labels.map((label) => label.replace(/^[BI]-/, "")).filter((kind) => kind !== "O"))];
}

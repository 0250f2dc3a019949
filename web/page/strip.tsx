/** The model's layers as a strip, lit as they are prepared and computed; and the same in words, for eyes and for ears. */
import { useEffect, useRef, useState } from "preact/hooks";
import { cellsOf, type Shown } from "./progress.ts";
import { leftOf } from "./words.ts";

const KINDS: Readonly<Record<string, string>> = {
  embedding: "words",
  attention: "attention",
  softmax: "softmax",
  norm: "norm",
  activation: "activation",
  linear: "product",
  answer: "answer",
};

/** The time left is said aloud so often, and no more. */
const SAID_EVERY_MS = 10_000;

interface Given {
  readonly layers: number;
  readonly shown: Shown;
  /** Whether somebody waits for an answer; material may be made while nobody does. */
  readonly busy: boolean;
  /** What is said when there is nothing at work. */
  readonly idle: string;
  /** What is said aloud, when it is over. */
  readonly result: string;
}

export function Strip({ layers, shown, busy, idle, result }: Given) {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    if (busy) place.current?.scrollIntoView({ block: "nearest" });
  }, [busy]);
  return (
    <section ref={place} id="progress" aria-label="Progress" class="strip">
      <div aria-hidden="true">
        <Row name="Prepared" lit={shown.offline} layers={layers} at={shown.phase === "offline"} />
        <Row name="Computed" lit={shown.online} layers={layers} at={shown.phase === "online"} />
        <Names layers={layers} />
      </div>
      <p class="state">{wordsOf(shown, busy, idle)}</p>
      <p class="unseen" role="status">
        <Said shown={shown} busy={busy} result={result} />
      </p>
    </section>
  );
}

function Row({ name, lit, layers, at }: { name: string; lit: number; layers: number; at: boolean }) {
  return (
    <div class="row">
      <span class="name">{name}</span>
      {range(cellsOf(layers)).map((cell) => (
        <span key={cell} class={cell < lit ? (at && cell === lit - 1 ? "cell lit now" : "cell lit") : "cell"} />
      ))}
    </div>
  );
}

/** Layers that have room for words beside them. */
const FEW = 6;

function Names({ layers }: { layers: number }) {
  const [first, last] = layers <= FEW ? ["words", "answer"] : ["in", "out"];
  const end = (long: string, short: string) => (
    <>
      <span class="roomy">{long}</span>
      <span class="narrow">{short}</span>
    </>
  );
  return (
    <div class={layers <= 2 * FEW ? "row names" : "row names many"}>
      <span class="name">Layer</span>
      {range(cellsOf(layers)).map((cell) => (
        <span key={cell}>{cell === 0 ? end(first, "in") : cell > layers ? end(last, "out") : cell - 1}</span>
      ))}
    </div>
  );
}

function range(count: number): number[] {
  return [...Array(count).keys()];
}

function wordsOf({ phase, layer, group, left }: Shown, busy: boolean, idle: string): string {
  if (phase === null) return busy ? "Waiting for the server…" : idle;
  const what = phase === "offline" ? "Preparing randomness" : "Computing on your text";
  const index = /\.(\d+)$/.exec(layer)?.[1];
  const where = index === undefined ? (layer === "embeddings" ? "embeddings" : "answer") : `layer ${index}`;
  const detail = phase === "online" && index !== undefined ? `, ${KINDS[group] ?? group}` : "";
  return `${what}: ${where}${detail}${left === null ? "" : `, ${leftOf(left)}`}`;
}

/** For screen readers: long work, now and then; and its end. */
function Said({ shown, busy, result }: Pick<Given, "shown" | "busy" | "result">) {
  const [words, setWords] = useState("");
  const at = useRef(-SAID_EVERY_MS);
  useEffect(() => {
    if (!busy || shown.left === null || performance.now() - at.current < SAID_EVERY_MS) return;
    at.current = performance.now();
    setWords(`${shown.phase === "offline" ? "Preparing" : "Computing"}, ${leftOf(shown.left)}`);
  }, [busy, shown]);
  useEffect(() => {
    if (busy) setWords("");
    at.current = -SAID_EVERY_MS;
  }, [busy]);
  return <>{busy ? words : result}</>;
}

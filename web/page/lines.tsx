/** A file of texts: their answers as they come, how long it takes still, and the whole as CSV. */
import { useMemo, useRef, useState } from "preact/hooks";
import { onceAFrame, type Progress, type Work } from "./hooks.ts";
import type { ClassifiedLine, OpenedModel } from "./messages.ts";
import type { Service } from "./service.ts";
import { Table } from "./table.tsx";
import { csvParts, type FileText, textsOf } from "./texts.ts";
import { countOf, leftOf } from "./words.ts";

/** A file at work, or done. */
export interface Job {
  readonly name: string;
  readonly texts: readonly FileText[];
  /** By text; holes where there is no answer yet. */
  readonly results: readonly (ClassifiedLine | undefined)[];
  /** Lines that are over, with an answer or without. */
  readonly done: number;
  /** Seconds; null while it cannot be told. */
  readonly left: number | null;
  readonly stopping: boolean;
}

interface Running {
  readonly name: string;
  readonly texts: readonly FileText[];
  readonly results: (ClassifiedLine | undefined)[];
  done: number;
  stopping: boolean;
  /** When this go at it began, and how many lines it has answered: those that are refused take no time. */
  begun: number;
  answered: number;
}

export function useLines(service: Service, progress: Progress, work: Work) {
  const [job, setJob] = useState<Job | null>(null);
  const running = useRef<Running | null>(null);
  const show = useMemo(() => {
    const draw = () => setJob(running.current && { ...running.current, left: leftIn(running.current) });
    return { now: draw, soon: onceAFrame(draw) };
  }, []);
  const go = async (state: Running) => {
    const open = [...state.texts.keys()].filter((i) => state.results[i] === undefined);
    Object.assign(state, { begun: performance.now(), answered: 0, stopping: false });
    const took = (happened: ClassifiedLine) => {
      state.results[open[happened.line]] = { ...happened, line: open[happened.line] };
      state.done++;
      if ("answer" in happened) state.answered++;
      show.soon();
    };
    progress.begin();
    await service
      .ask("classifyAll", { texts: open.map((i) => state.texts[i].text) }, (h) => {
        if (h.what === "progress") progress.take(h);
        else if (h.what === "line") took(h);
      })
      .finally(() => {
        progress.end(state.done === state.texts.length);
        show.now();
      });
  };
  const open = (file: File, over: () => void) => {
    // Read once; a second try goes on behind what is answered.
    let state: Running | null = null;
    work.run(async () => {
      if (state === null) {
        const texts = await textsOf(file);
        state = {
          name: file.name,
          texts,
          results: Array(texts.length),
          done: 0,
          stopping: false,
          begun: 0,
          answered: 0,
        };
        running.current = state;
      }
      show.now();
      await go(state).finally(over);
    });
  };
  const stop = () => {
    if (running.current !== null) running.current.stopping = true;
    show.now();
    service.stop();
  };
  const close = () => {
    running.current = null;
    show.now();
  };
  return { job, open, stop, close };
}

function leftIn({ texts, done, answered, begun }: Running): number | null {
  if (answered === 0) return null;
  return ((texts.length - done) * (performance.now() - begun)) / answered / 1000;
}

interface Given {
  readonly job: Job;
  readonly model: OpenedModel | null;
  readonly busy: boolean;
  stop(): void;
  close(): void;
}

export function Lines({ job, model, busy, stop, close }: Given) {
  const { name, texts, done, results } = job;
  return (
    <section id="lines" aria-labelledby="lines-title">
      <h2 id="lines-title">{name}</h2>
      <progress aria-label="Texts that are done" max={texts.length} value={done} />
      <p class="state">{stateOf(job, busy)}</p>
      <div class="actions">
        {busy ? (
          <button id="stop" type="button" onClick={stop} aria-disabled={job.stopping}>
            Stop
          </button>
        ) : (
          <button type="button" onClick={close}>
            Close the file
          </button>
        )}
        <button id="download" type="button" onClick={() => download(job, model)}>
          Download as CSV
        </button>
      </div>
      <Table texts={texts} results={results} />
    </section>
  );
}

function stateOf({ texts, done, left, stopping }: Job, busy: boolean): string {
  const count = `${done.toLocaleString("en")} of ${countOf(texts.length, "text")}`;
  if (!busy) return `${count} ${done === texts.length ? "done" : "done, then stopped"}`;
  if (stopping) return `${count}, stopping after those at work`;
  return `${count}${left === null ? "" : `, ${leftOf(left)}`}`;
}

function download(job: Job, model: OpenedModel | null): void {
  const url = URL.createObjectURL(
    new Blob(csvParts(job.texts, job.results, model?.kind === "entities" ? [] : (model?.labels ?? [])), {
      type: "text/csv",
    }),
  );
  const link = document.createElement("a");
  link.href = url;
  link.download = `${job.name.replace(/\.[^.]*$/, "")}-answers.csv`;
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

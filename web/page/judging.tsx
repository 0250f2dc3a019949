/** Texts to judge: one that is typed, or a file of them. */
import { useRef, useState } from "preact/hooks";
import { Answer, Costs, spoken } from "./answer.tsx";
import { type Progress, useWork } from "./hooks.ts";
import { type Job, Lines, useLines } from "./lines.tsx";
import { type Classified, continues, type OpenedModel } from "./messages.ts";
import { Notice } from "./notice.tsx";
import { Question } from "./question.tsx";
import type { Asked } from "./seen.tsx";
import type { Service } from "./service.ts";
import { Strip } from "./strip.tsx";
import { countOf } from "./words.ts";

/** Whether there is somebody to ask. */
export interface Ready {
  /** What is said while nothing is at work. */
  readonly idle: string;
  /** Why nobody could be reached; null while all is well. */
  readonly trouble: string | null;
  /** @throws Error of one line for people. */
  open(): Promise<OpenedModel>;
  /** Makes material while nobody waits; opens first where that has not happened. */
  warm(): void;
}

export interface Given extends Ready {
  readonly service: Service;
  readonly model: OpenedModel | null;
  readonly text: string;
  setText(text: string): void;
  readonly progress: Progress;
  answered(asked: Asked): void;
}

/** An answer, and the text that it is about. */
interface Judged extends Classified {
  readonly text: string;
}

export function Judging(given: Given) {
  const { service, model, text, progress, warm } = given;
  const [result, setResult] = useState<Judged | null>(null);
  const [helped, setHelped] = useState(false);
  const work = useWork();
  const lines = useLines(service, progress, work);
  const ask = () =>
    work.run(async () => {
      // Whoever turns out to continue texts gets another form, with the text in it.
      if (!continues(await given.open())) await classify(given, helped, setResult).finally(helped ? () => {} : warm);
    });
  const open = (file: File) => lines.open(file, warm);
  return (
    <>
      <Question
        kind={model?.kind ?? "labels"}
        {...{ text, ask, setText: given.setText, busy: work.busy, returned: warm }}
        settings={service.parties.helper && <Helped helped={helped} set={setHelped} />}
      >
        <FileButton open={open} busy={work.busy} />
      </Question>
      <Notice error={work.error ?? given.trouble} again={work.error === null ? warm : work.again} />
      <Strip
        layers={model?.layers ?? 1}
        shown={progress.shown}
        busy={work.busy}
        idle={given.idle}
        result={saidOf(result, lines.job)}
      />
      {lines.job === null ? (
        <div class="result">
          <Answer model={model} answer={result?.answer ?? null} text={result?.text ?? ""} />
          <Costs run={result?.answer ?? null} ahead={result?.ahead ?? false} />
        </div>
      ) : (
        <Lines job={lines.job} model={model} busy={work.busy} stop={lines.stop} close={lines.close} />
      )}
    </>
  );
}

function saidOf(result: Judged | null, job: Job | null): string {
  if (job !== null) return `${job.done} of ${job.texts.length} texts are done`;
  return result === null ? "" : spoken(result.answer);
}

function Helped({ helped, set }: { helped: boolean; set: (helped: boolean) => void }) {
  return (
    <p class="settings">
      <label>
        <input id="helped" type="checkbox" checked={helped} onChange={(event) => set(event.currentTarget.checked)} />{" "}
        Let a helper compute
      </label>{" "}
      <span class="quiet">
        For phones: the text is shared between helper and server, and neither can read it while they do not pool what
        they know.
      </span>
    </p>
  );
}

async function classify(
  { service, text, progress, answered }: Given,
  helped: boolean,
  setResult: (result: Judged | null) => void,
): Promise<void> {
  progress.begin();
  setResult(null);
  const at = new Date();
  let complete = false;
  try {
    const result = await service.ask("classify", { text, helped }, (h) => h.what === "progress" && progress.take(h));
    complete = true;
    setResult({ ...result, text });
    const { answer, seen } = result;
    const lengths = `1, of at most ${countOf(answer.length, "token")}`;
    answered({ seen, answer: spoken(answer), flights: answer.flights, at, lengths });
  } finally {
    progress.end(complete);
  }
}

function FileButton({ open, busy }: { open: (file: File) => void; busy: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const chosen = () => {
    const file = input.current?.files?.[0];
    if (file !== undefined && !busy) open(file);
    // The same file may be chosen again.
    if (input.current) input.current.value = "";
  };
  return (
    <span class="file">
      <input ref={input} id="file" type="file" accept=".txt,text/plain" class="unseen" onChange={chosen} />
      <label for="file" class="button">
        Open a file, one text a line
      </label>
    </span>
  );
}

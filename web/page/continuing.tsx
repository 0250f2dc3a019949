/** A text to continue: its words as they come. */
import { useMemo, useRef, useState } from "preact/hooks";
import { Costs } from "./answer.tsx";
import { ChoiceOfTokens } from "./choice.tsx";
import { onceAFrame, type Progress, useWork } from "./hooks.ts";
import type { Given } from "./judging.tsx";
import type { Continued } from "./messages.ts";
import { Notice } from "./notice.tsx";
import { Question } from "./question.tsx";
import { Strip } from "./strip.tsx";
import { countOf, secondsOf } from "./words.ts";

/** What is at work or done: the prompt as it was asked, and how it goes on. */
interface Going {
  readonly prompt: string;
  readonly text: string;
  readonly result: Continued | null;
}

export function Continuing(given: Given) {
  const { service, model, text, setText, progress } = given;
  const [maxTokens, setMaxTokens] = useState(24);
  const [temperature, setTemperature] = useState(0);
  const [stopping, setStopping] = useState(false);
  const work = useWork();
  const { going, generate } = useGoing(given, progress);
  const ask = () => {
    setStopping(false);
    work.run(() => generate({ prompt: text, maxTokens, temperature }));
  };
  const stop = () => {
    setStopping(true);
    service.stop();
  };
  const choice = { maxTokens, setMaxTokens, temperature, setTemperature };
  const settings = <ChoiceOfTokens name="New tokens, at most" {...choice} />;
  return (
    <>
      <Question kind="text" {...{ text, setText, ask, settings }} busy={work.busy} returned={() => {}}>
        <button id="stop" type="button" onClick={stop} aria-disabled={!work.busy || stopping}>
          Stop
        </button>
      </Question>
      <Notice error={work.error ?? given.trouble} again={work.error === null ? given.warm : work.again} />
      <Strip
        layers={model!.layers}
        shown={progress.shown}
        busy={work.busy}
        idle={given.idle}
        result={going?.result ? `Continued by ${countOf(going.result.run.tokens, "token")}` : ""}
      />
      <div class="result">
        <Continuation going={going} stopping={work.busy && stopping} />
        <Costs run={going?.result?.run ?? null} ahead={false} more={speedOf(going?.result ?? null)} />
      </div>
    </>
  );
}

function useGoing({ service, answered }: Given, progress: Progress) {
  const [going, setGoing] = useState<Going | null>(null);
  const now = useRef<Going | null>(null);
  const draw = useMemo(() => onceAFrame(() => setGoing(now.current)), []);
  const generate = async (asked: { prompt: string; maxTokens: number; temperature: number }) => {
    const at = new Date();
    now.current = { prompt: asked.prompt, text: "", result: null };
    progress.begin();
    draw();
    let complete = false;
    try {
      const result = await service.ask("generate", asked, (h) => {
        if (h.what === "progress") progress.take(h);
        else if (h.what === "text") now.current = { ...now.current!, text: h.text };
        draw();
      });
      complete = true;
      now.current = { ...now.current, text: result.text, result };
      const { seen, run } = result;
      const turns = `${countOf(run.tokens, "new token")} of ${asked.maxTokens} taken`;
      const lengths = `1, of at most ${countOf(run.length, "token")}; ${turns}`;
      answered({ seen, answer: result.text, flights: run.flights, at, lengths });
    } finally {
      progress.end(complete);
      setGoing(now.current);
    }
  };
  return { going, generate };
}

function Continuation({ going, stopping }: { going: Going | null; stopping: boolean }) {
  return (
    <section aria-labelledby="continuation-title" class="answer">
      <h2 id="continuation-title">How it goes on</h2>
      <p class="story">
        <span class="quiet">{going?.prompt}</span>
        <span id="continuation">{going === null ? "–" : going.text}</span>
      </p>
      {stopping && <p class="quiet">Stopping after what is at work.</p>}
    </section>
  );
}

function speedOf(result: Continued | null): readonly [string, string][] {
  const times = result?.run.secondsToToken ?? [];
  const each = times.length === 0 ? "–" : secondsOf(times[times.length - 1] / times.length);
  return [["Each token", each]];
}

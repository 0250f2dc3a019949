/** What the page's parts have in common: one piece of work at a time, and progress that is drawn once a frame. */
import { useMemo, useRef, useState } from "preact/hooks";
import { Meter, NOTHING_YET, type Shown, type Step } from "./progress.ts";
import { plainly } from "./words.ts";

/** `draw`, once a frame at most, however often it is asked for. */
export function onceAFrame(draw: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

export interface Work {
  readonly busy: boolean;
  /** Of the last piece of work; null when it went well. */
  readonly error: string | null;
  /** Nothing happens while another piece is at work. */
  run(work: () => Promise<void>): void;
  /** The last piece once more. */
  again(): void;
}

export function useWork(): Work {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const at = useRef<{ busy: boolean; last: (() => Promise<void>) | null }>({ busy: false, last: null });
  return useMemo(() => {
    const finish = (words: string | null) => {
      at.current.busy = false;
      setBusy(false);
      setError(words);
    };
    const run = (work: () => Promise<void>) => {
      if (at.current.busy) return;
      at.current = { busy: true, last: work };
      setBusy(true);
      setError(null);
      work().then(
        () => finish(null),
        (failure: Error) => finish(plainly(failure.message)),
      );
    };
    return { busy, error, run, again: () => at.current.last !== null && run(at.current.last) };
  }, [busy, error]);
}

export interface Progress {
  readonly shown: Shown;
  /** A question begins. */
  begin(): void;
  take(step: Step): void;
  end(complete: boolean): void;
}

export function useProgress(layers: number): Progress {
  const [shown, setShown] = useState<Shown>(NOTHING_YET);
  const meter = useRef(new Meter());
  const draw = useMemo(() => onceAFrame(() => setShown(meter.current.shown)), []);
  return {
    shown,
    begin: () => setShown(meter.current.begin()),
    take: (step) => {
      meter.current.take(step, layers);
      draw();
    },
    end: (complete) => setShown(meter.current.end(complete)),
  };
}

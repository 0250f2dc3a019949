/** Asking the service again and again, while anybody looks. */
import { useEffect, useState } from "preact/hooks";

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;

export interface Polled<T> {
  /** The last answer, however old. */
  readonly value: T | null;
  /** When it came, by this browser's clock. */
  readonly at: number;
  /** Why the latest try failed; empty when it did not. */
  readonly failure: string;
}

/** The answer's JSON. @throws Error of a few words */
async function ask<T>(path: string): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
  } catch (cause) {
    throw new Error("the service does not answer", { cause });
  }
  if (!response.ok) throw new Error(`the service answers with an error (${response.status})`);
  return (await response.json()) as T;
}

/** Asks every two seconds while the page is visible, and at once when it becomes so. */
export function usePolled<T>(path: string): Polled<T> {
  const [polled, setPolled] = useState<Polled<T>>({ value: null, at: 0, failure: "" });
  useEffect(() => {
    let timer = 0;
    let ended = false;
    const next = async () => {
      window.clearTimeout(timer);
      if (document.hidden) return;
      try {
        const value = await ask<T>(path);
        if (!ended) setPolled({ value, at: Date.now(), failure: "" });
      } catch (error) {
        if (!ended) setPolled((before) => ({ ...before, failure: (error as Error).message }));
      }
      window.clearTimeout(timer);
      if (!ended) timer = window.setTimeout(next, EVERY_MS);
    };
    void next();
    document.addEventListener("visibilitychange", next);
    return () => {
      ended = true;
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", next);
    };
  }, [path]);
  return polled;
}

/** What is asked for once, when `wanted`; null until it is here. */
export function useOnce<T>(path: string, wanted: boolean): T | null {
  const [value, setValue] = useState<T | null>(null);
  useEffect(() => {
    if (wanted) ask<T>(path).then(setValue, () => setValue(null));
  }, [path, wanted]);
  return value;
}

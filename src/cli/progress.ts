/** Progress of long work: a bar on a screen, a line now and then in a file. */
import { formatSeconds } from "./format.ts";
import { isScreen, note, showStatus } from "./terminal.ts";

/** Milliseconds from one picture to the next. */
const SCREEN_MS = 100;
const FILE_MS = 5000;
const CELLS = 24;
/** A rate that is younger foretells nothing. */
const FORETELLS_MS = 500;

/** What a piece of work tells: how many of how many, and what stands beside it. */
export type Step = (done: number, total: number, beside?: string) => void;

/** Shows progress of long work on stderr, with the time left; silent for machines. */
export class Progress {
  private readonly quiet: boolean;
  private stopped = false;
  private shownAt = Number.NEGATIVE_INFINITY;

  constructor(quiet: boolean) {
    this.quiet = quiet;
  }

  /** A step function for one piece of work; its bar goes with the last step. With a `unit` the rate is shown. */
  of(title: string, unit?: string): Step {
    let start: { readonly done: number; readonly at: number } | null = null;
    return (done, total, beside = "") => {
      if (this.quiet || this.stopped) return;
      const now = performance.now();
      if (start === null) {
        start = { done, at: now };
        // A screen shows at once that something goes on; a file only what takes its time.
        this.shownAt = isScreen() ? Number.NEGATIVE_INFINITY : now;
      }
      if (done >= total) {
        start = null;
        return showStatus(null);
      }
      if (now - this.shownAt < (isScreen() ? SCREEN_MS : FILE_MS)) return;
      this.shownAt = now;
      const line = lineOf({ title, unit, beside, done, total, since: done - start.done, ms: now - start.at });
      if (isScreen()) showStatus(line);
      else note(line);
    };
  }

  /** Takes the bar away; no other one comes. */
  stop(): void {
    this.stopped = true;
    showStatus(null);
  }
}

interface Picture {
  readonly title: string;
  readonly unit: string | undefined;
  readonly beside: string;
  readonly done: number;
  readonly total: number;
  /** Steps since the first picture, and the time they took. */
  readonly since: number;
  readonly ms: number;
}

/** What is known alone: without a rate nothing is said of the time left. */
function lineOf({ title, unit, beside, done, total, since, ms }: Picture): string {
  const share = Math.max(0, Math.min(1, done / total));
  const filled = Math.round(CELLS * share);
  const bar = isScreen() ? ` ${"█".repeat(filled)}${"░".repeat(CELLS - filled)}` : "";
  const known = since > 0 && ms >= FORETELLS_MS;
  const rate = known && unit !== undefined ? `${((1000 * since) / ms).toFixed(1)} ${unit}/s` : "";
  const left = known ? `${formatSeconds((((total - done) / since) * ms) / 1000)} left` : "";
  const parts = [`${title}${bar} ${Math.floor(100 * share)}%`, rate, left, beside];
  return parts.filter((part) => part !== "").join(" | ");
}

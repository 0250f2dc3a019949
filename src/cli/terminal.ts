/** What people and machines read: results on stdout, everything else on stderr. */
import { Presets, SingleBar } from "cli-progress";

/** A mistake of the caller's that one line explains; printed without a stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Shows progress of long work on stderr, with the time left; silent for machines. */
export class Progress {
  private bar: SingleBar | null = null;
  private readonly quiet: boolean;

  constructor(quiet: boolean) {
    this.quiet = quiet;
  }

  /**
   * A step function for one piece of work; the bar appears with the first call and goes with the last. With a `unit` the
   * rate is shown, and what the step function is told beside the count.
   */
  of(title: string, unit?: string): (done: number, total: number, beside?: string) => void {
    let last = -1;
    let start = [0, 0];
    const rate = (done: number) => ((done - start[0]) / ((performance.now() - start[1]) / 1000)).toFixed(1);
    return (done, total, beside = "") => {
      if (this.quiet || done === last) return;
      last = done;
      if (this.bar === null) {
        this.bar = new SingleBar(
          {
            format: `${title} {bar} {percentage}%${unit === undefined ? "" : ` | {rate} ${unit}/s`} | {eta_formatted} left {beside}`,
            stream: process.stderr,
            hideCursor: true,
            clearOnComplete: true,
            noTTYOutput: true,
            notTTYSchedule: 5000,
            etaBuffer: 50,
          },
          Presets.shades_classic,
        );
        start = [done, performance.now()];
        this.bar.start(total, done, { rate: "-", beside });
      }
      this.bar.update(done, { rate: rate(done), beside });
      if (done >= total) this.stop();
    };
  }

  stop(): void {
    this.bar?.stop();
    this.bar = null;
  }
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1e4) return `${bytes} B`;
  if (bytes < 1e7) return `${(bytes / 1e3).toFixed(0)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Columns aligned, the first to the left and the others to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((r) => r[c].length)));
  return rows
    .map((r) => r.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c]))).join("  "))
    .join("\n");
}

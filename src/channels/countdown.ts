/**
 * Calls `late` once nothing has happened for so many milliseconds. To touch it costs one reading of the clock: the timer is set anew
 * only when it fires too early.
 */
export class Countdown {
  private readonly ms: number;
  private readonly late: () => void;
  private touched = performance.now();
  private timer: ReturnType<typeof setTimeout>;

  constructor(ms: number, late: () => void) {
    this.ms = ms;
    this.late = late;
    this.timer = setTimeout(() => this.fired(), ms);
  }

  /** Something happened. */
  touch(): void {
    this.touched = performance.now();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private fired(): void {
    const left = this.touched + this.ms - performance.now();
    if (left <= 0) return this.late();
    this.timer = setTimeout(() => this.fired(), Math.ceil(left));
  }
}

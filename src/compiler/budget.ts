/**
 * What one compilation may take. Parties compile what their peers choose, so that the work is counted, in steps of the program and in
 * fits that cost as much as many steps. It is counted the same on every machine: what one party compiles, the others do.
 */
import { PlanError } from "../program/steps.ts";

/** Bounds on one compilation. */
export interface Bounds {
  /** Steps of the program. */
  readonly steps: number;
}

/** What a step takes in memory while its program is kept (measured: 620 to 900 bytes). */
export const STEP_BYTES = 1000;
/** Unless told. */
export const DEFAULT_BOUNDS: Bounds = { steps: 256_000 };

/** Elements of one value: what a value takes in a party's memory is eight bytes for each. */
const MOST_ELEMENTS = 2 ** 27;
/** How many programs of the largest size may be begun until one fits into 64 bits, and what fits may cost beside them. */
const MOST_ATTEMPTS = 3;
const FIT_WORK = 400_000;
/** The processor time of a fit in that of steps (measured). */
export const ROOT_WORK = 300;
export const SERIES_WORK = 700;

/** The program would be larger than this party makes one. */
export class TooLarge extends PlanError {}

/** Counts one compilation's work. */
export class Budget {
  private readonly bounds: Bounds;
  private readonly fitted = new Set<string>();
  private steps = 0;
  private work = 0;

  constructor(bounds: Bounds = DEFAULT_BOUNDS) {
    this.bounds = bounds;
  }

  /** A program is begun, or begun anew with less precision. */
  begin(): void {
    this.steps = 0;
  }

  /** One step more. @throws TooLarge */
  step(): void {
    const { steps } = this.bounds;
    if (++this.steps > steps)
      throw new TooLarge(
        `the program would have more than ${steps} steps: ask for fewer new tokens, or a smaller model`,
      );
    this.spend(1);
  }

  /** A fit of its own, named by all that it depends on: what comes again costs nothing. @throws TooLarge */
  fit(name: string, work: number): void {
    if (this.fitted.has(name)) return;
    this.fitted.add(name);
    this.spend(work);
  }

  /** @throws TooLarge for a value that no machine should hold. */
  value(name: string, rows: number, columns: number): void {
    if (rows * columns > MOST_ELEMENTS)
      throw new TooLarge(`"${name}" would have [${rows}, ${columns}] elements, more than ${MOST_ELEMENTS}`);
  }

  private spend(work: number): void {
    this.work += work;
    if (this.work > MOST_ATTEMPTS * this.bounds.steps + FIT_WORK)
      throw new TooLarge("the plan is too much work to compile: its ranges need too many fits, or too many attempts");
  }
}

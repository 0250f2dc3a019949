/** Where a party's time goes: what the bench shows. Times depend on shapes alone, never on a text or a weight. */
import { platform } from "#platform";

/** Milliseconds of one kind of work. */
export interface Spent {
  compute: number;
  /** For the other party's message. */
  waiting: number;
}

/** By kind of work: linear, softmax, norm, activation, ... */
export type SpentByGroup = Readonly<Record<string, Readonly<Spent>>>;

export class Meter {
  private readonly groups: Record<string, Spent> = {};

  get spent(): SpentByGroup {
    return this.groups;
  }

  /** Runs `work` and adds its time. */
  compute<T>(group: string, work: () => T): T {
    const started = performance.now();
    const result = work();
    this.of(group).compute += performance.now() - started;
    return result;
  }

  /** Awaits `arrival` and adds its time. */
  async wait<T>(group: string, arrival: Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await arrival;
    this.of(group).waiting += performance.now() - started;
    return result;
  }

  private of(group: string): Spent {
    this.groups[group] ??= { compute: 0, waiting: 0 };
    return this.groups[group];
  }
}

/** What one phase of one session took in this process. */
export interface Measured {
  readonly phase: "offline" | "online";
  readonly seconds: number;
  /** Of the whole process, meanwhile. */
  readonly cpuSeconds: number;
  readonly peakRssMb: number;
  /** Online only. */
  readonly spent?: SpentByGroup;
}

/** Begins to measure a phase; the result measures to the moment of its call. */
export function stopwatch(phase: Measured["phase"]): (meter?: Meter) => Measured {
  const [started, before] = [performance.now(), cpuSeconds()];
  return (meter) => ({
    phase,
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: cpuSeconds() - before,
    peakRssMb: peakRssMb(),
    ...(meter === undefined ? {} : { spent: meter.spent }),
  });
}

function cpuSeconds(): number {
  return platform.processorTime() / 1e6;
}

/** Peak resident memory of this process; 0 where that is not known. */
export function peakRssMb(): number {
  return Math.round(platform.peakMemory() / 2 ** 20);
}

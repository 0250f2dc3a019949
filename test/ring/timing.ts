/** Whether two classes of measured times differ: Welch's t-test on what lies below a common quantile. */

/** Beyond it chance is no explanation: one test in 150,000. */
export const THRESHOLD = 4.5;
/** The slowest part of both classes is left out: interruptions, which come to either. */
const KEPT = 0.9;

export interface Comparison {
  /** Welch's statistic; positive where the second class is slower. */
  readonly t: number;
  /** Mean of the first class. */
  readonly mean: number;
  /** Second mean less the first, over the first. */
  readonly effect: number;
  /** The smallest effect that would have reached the threshold, over the first mean. */
  readonly visible: number;
}

/** Compares times of two classes, measured in turns. @throws RangeError below 20 times each. */
export function compare(first: Float64Array, second: Float64Array): Comparison {
  if (Math.min(first.length, second.length) < 20) throw new RangeError("a comparison needs 20 times of each class");
  const all = Float64Array.from([...first, ...second]).sort();
  const most = all[Math.ceil(KEPT * all.length) - 1];
  const [a, b] = [first, second].map((times) => moments(times.filter((x) => x <= most)));
  const error = Math.sqrt(a.variance / a.count + b.variance / b.count);
  const difference = b.mean - a.mean;
  // Equal times without any spread are no difference; different ones are a certain one.
  const t = difference === 0 ? 0 : difference / error;
  return { t, mean: a.mean, effect: difference / a.mean, visible: (THRESHOLD * error) / a.mean };
}

function moments(times: Float64Array): { count: number; mean: number; variance: number } {
  const count = times.length;
  const mean = times.reduce((sum, x) => sum + x, 0) / count;
  return { count, mean, variance: times.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, count - 1) };
}

/**
 * Times of each class's work, in nanoseconds: in every round each class once, in an order drawn anew. `prepare` is not timed.
 */
export function measure(
  classes: readonly { readonly prepare: () => void; readonly work: () => void }[],
  rounds: number,
): Float64Array[] {
  const times = classes.map(() => new Float64Array(rounds));
  const order = classes.map((_, i) => i);
  for (let round = 0; round < rounds; round++) {
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    for (const i of order) {
      classes[i].prepare();
      const started = process.hrtime.bigint();
      classes[i].work();
      times[i][round] = Number(process.hrtime.bigint() - started);
    }
  }
  return times;
}

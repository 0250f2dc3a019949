/** What answers are measured by. */

/** Share of equal entries: accuracy against labels, agreement between two runs. */
export function agreement(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || a.length === 0) throw new RangeError("agreement of lists of different or no length");
  return a.filter((x, i) => x === b[i]).length / a.length;
}

/** Linear correlation. 0 when one side is constant. */
export function pearson(a: readonly number[], b: readonly number[]): number {
  const mean = (x: readonly number[]) => x.reduce((s, v) => s + v, 0) / x.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  }
  return aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}

/** Correlation of ranks; equal values share the mean of their ranks. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  return pearson(ranks(a), ranks(b));
}

/** Harmonic mean of precision and recall of class 1. 0 where neither side has it. */
export function f1(predicted: readonly number[], labels: readonly number[]): number {
  const both = predicted.filter((x, i) => x === 1 && labels[i] === 1).length;
  const either = predicted.filter((x) => x === 1).length + labels.filter((x) => x === 1).length;
  return either === 0 ? 0 : (2 * both) / either;
}

/** Matthews correlation of two or more classes (Gorodkin, 2004). 0 when one side is constant. */
export function matthews(predicted: readonly number[], labels: readonly number[]): number {
  const [n, right] = [labels.length, labels.filter((x, i) => x === predicted[i]).length];
  const classes = [...new Set([...predicted, ...labels])];
  const count = (list: readonly number[], value: number) => list.filter((x) => x === value).length;
  const pairs = classes.map((c) => [count(predicted, c), count(labels, c)] as const);
  const sum = (f: (p: number, t: number) => number) => pairs.reduce((total, [p, t]) => total + f(p, t), 0);
  const spread = (n * n - sum((p) => p * p)) * (n * n - sum((_, t) => t * t));
  return spread === 0 ? 0 : (n * right - sum((p, t) => p * t)) / Math.sqrt(spread);
}

function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]);
  const out = new Array<number>(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let i = start; i < end; i++) out[order[i]] = (start + end - 1) / 2;
    start = end;
  }
  return out;
}

const CLASS_METRICS = { accuracy: agreement, f1, matthews } as const;
const VALUE_METRICS = { pearson, spearman } as const;

export type MetricName = keyof typeof CLASS_METRICS | keyof typeof VALUE_METRICS;

/** The metrics of logits against labels, by name, in their order. For regressions the logit is the value. */
export function measure(
  names: readonly MetricName[],
  logits: readonly ArrayLike<number>[],
  labels: readonly number[],
): Record<string, number> {
  const classes = logits.map(winner);
  const values = logits.map((l) => l[0]);
  return Object.fromEntries(
    names.map((name) => {
      if (name === "pearson" || name === "spearman") return [name, VALUE_METRICS[name](values, labels)];
      return [name, CLASS_METRICS[name](classes, labels)];
    }),
  );
}

/** The class of the largest logit, the first of equals. */
export function winner(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}

/** The cosine of two vectors; 0 where one is zero. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i] * b[i];
    ofA += a[i] * a[i];
    ofB += b[i] * b[i];
  }
  const lengths = Math.sqrt(ofA * ofB);
  return lengths === 0 ? 0 : dot / lengths;
}

/** The statistics of views: nothing here knows a protocol. */

/** False alarms over a whole run of tests in CI: at most about one in a million. */
export const Z = 6.5;

/** Bins of fewer expected counts than this say little. */
const LEAST_EXPECTED = 8;

/** How many standard deviations the chi-square of these counts lies above that of a uniform source (Wilson-Hilferty). */
export function excess(counts: Float64Array): number {
  const total = counts.reduce((a, b) => a + b, 0);
  const expected = total / counts.length;
  if (expected < LEAST_EXPECTED) return 0;
  const chi = counts.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0);
  const df = counts.length - 1;
  return (Math.cbrt(chi / df) - (1 - 2 / (9 * df))) / Math.sqrt(2 / (9 * df));
}

/** The same of all bytes of these messages; of few bytes, of their high halves. The last byte of a bit stream is padded. */
export function byteExcess(messages: readonly Uint8Array[]): number {
  const counts = new Float64Array(256);
  for (const m of messages) for (let i = 0; i + 1 < m.length; i++) counts[m[i]]++;
  const total = counts.reduce((a, b) => a + b, 0);
  if (total >= counts.length * LEAST_EXPECTED) return excess(counts);
  return excess(Float64Array.from({ length: 16 }, (_, b) => counts.slice(16 * b, 16 * b + 16).reduce((x, y) => x + y)));
}

/** Byte by byte, each message less the one before it. */
export function differences(messages: readonly Uint8Array[]): Uint8Array[] {
  return messages.slice(1).map((m, i) => m.map((x, j) => (x - messages[i][j]) & 255));
}

/** Messages of one kind, by the kind's name. */
export type Views = ReadonlyMap<string, readonly Uint8Array[]>;

/** How far each kind of message is from uniform, its bytes and its differences: too even is no better than uneven. */
export function deviations(views: Views): { key: string; z: number }[] {
  return [...views].flatMap(([key, messages]) => [
    { key, z: Math.abs(byteExcess(messages)) },
    { key: `${key}, differences`, z: Math.abs(byteExcess(differences(messages))) },
  ]);
}

/** The largest of them. */
export function worst(views: Views): { key: string; z: number } {
  return deviations(views).reduce((a, b) => (b.z > a.z ? b : a));
}

/** P(N > z) of the standard normal distribution, relative error below 2e-7 (Numerical Recipes, erfc). */
export function normalTail(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + x / 2);
  const series = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ];
  const tail = (t * Math.exp(-x * x + series.reduceRight((sum, c) => sum * t + c, 0))) / 2;
  return z >= 0 ? tail : 1 - tail;
}

/** The z that the largest of so many tests passes with this probability, at most (Bonferroni). */
export function familyThreshold(tests: number, error: number): number {
  let [low, high] = [0, 20];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tests * normalTail(middle) > error) low = middle;
    else high = middle;
  }
  return high;
}

/** The share of each byte's value in a view. */
export function histogram(messages: readonly Uint8Array[]): Float64Array {
  const counts = new Float64Array(256);
  let total = 0;
  for (const m of messages) {
    for (const byte of m) counts[byte]++;
    total += m.length;
  }
  return counts.map((c) => c / total);
}

/** P(a score of `ones` is above one of `zeros`), and its standard deviation where both have one distribution. */
export function auc(zeros: readonly number[], ones: readonly number[]): { auc: number; deviation: number } {
  const ranked = [...zeros.map((score) => ({ score, one: 0 })), ...ones.map((score) => ({ score, one: 1 }))];
  ranked.sort((a, b) => a.score - b.score);
  let rankSum = 0;
  for (let i = 0; i < ranked.length; ) {
    let end = i;
    while (end < ranked.length && ranked[end].score === ranked[i].score) end++;
    // Equal scores share the mean of their ranks.
    for (let j = i; j < end; j++) rankSum += ranked[j].one * ((i + end + 1) / 2);
    i = end;
  }
  const [n, m] = [zeros.length, ones.length];
  return {
    auc: (rankSum - (m * (m + 1)) / 2) / (n * m),
    deviation: Math.sqrt((n + m + 1) / (12 * n * m)),
  };
}

/**
 * How well the nearest mean tells two classes apart that it has not seen: the means come from the even samples of each class,
 * the scores from the odd ones.
 */
export function nearestMeanAuc(
  zeros: readonly Float64Array[],
  ones: readonly Float64Array[],
): { auc: number; deviation: number } {
  const half = (samples: readonly Float64Array[], odd: number) => samples.filter((_, i) => i % 2 === odd);
  const [a, b] = [mean(half(zeros, 0)), mean(half(ones, 0))];
  const score = (x: Float64Array) => x.reduce((sum, v, i) => sum + (b[i] - a[i]) * v, 0);
  return auc(half(zeros, 1).map(score), half(ones, 1).map(score));
}

function mean(samples: readonly Float64Array[]): Float64Array {
  const sum = new Float64Array(samples[0].length);
  for (const s of samples) for (let i = 0; i < sum.length; i++) sum[i] += s[i] / samples.length;
  return sum;
}

/** Logits as probabilities. */

/** Of labels that exclude each other: e^x over their sum. */
export function softmaxOf(logits: readonly number[]): number[] {
  const top = logits.reduce((most, x) => Math.max(most, x), -Infinity);
  const powers = logits.map((x) => Math.exp(x - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
}

/** Of labels that may hold together, each by itself: 1 / (1 + e^-x). */
export function sigmoidOf(logits: readonly number[]): number[] {
  return logits.map((x) => 1 / (1 + Math.exp(-x)));
}

import { PlanError, type Shape } from "./steps.ts";

/** The padded lengths that exist. The server learns which one a text falls into, and nothing else of its length. */
export const BUCKETS = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512] as const;

/** The smallest bucket that holds `tokens`, at most the model's own limit. @throws PlanError beyond the last one. */
export function bucketFor(tokens: number, limit: number): number {
  const bucket = BUCKETS.find((b) => b >= tokens);
  if (tokens > limit || bucket === undefined) {
    throw new PlanError(`the text has ${tokens} tokens, the model takes ${Math.min(limit, 512)}: shorten it`);
  }
  return Math.min(bucket, limit);
}

/** The fewest tokens that a text of this shape can have. */
export function fewestTokens({ length, anyLength }: Pick<Shape, "length" | "anyLength">): number {
  return shortest(anyLength ? BUCKETS[0] : length);
}

/** One more than the next smaller length holds. */
function shortest(length: number): number {
  return [2, ...BUCKETS].reduce((best, b) => (b < length && b > best ? b : best), 2) + 1;
}

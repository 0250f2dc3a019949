/** Reproducible random numbers for benchmarks, initial weights and the order of training. Never for secrets. */

/** 32-bit words, xoshiro128** (Blackman and Vigna), seeded from a name and a number. Not for secrets. */
export function generator(name: string, seed: number): () => number {
  let hash = 0x811c9dc5;
  for (const letter of `${seed}/${name}`) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
  let [a, b, c, d] = [hash, hash ^ 0x9e3779b9, Math.imul(hash, 0x85ebca6b), 0x6a09e667];
  const next = (): number => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}

/** Uniform numbers in [0, 1) from a generator. */
export function uniforms(next: () => number): () => number {
  return () => (next() >>> 0) / 2 ** 32;
}

/** A random order of 0 to count - 1 (Fisher and Yates). */
export function shuffled(count: number, next: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  const uniform = uniforms(next);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

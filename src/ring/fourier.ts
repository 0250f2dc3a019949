/** Fourier series of opened values (protocols/periodic.ts), by the kernels of assembly/fourier.ts. */
import { sized } from "./checks.ts";
import { withFactors } from "./lent.ts";
import type { Words } from "./memory.ts";
import type { Ring } from "./ring.ts";

/** The dealer's cosines and sines of the harmonics of r mod 2^bits, at scale 2^trigBits. */
export function fourierSecrets(
  ring: Ring,
  out: Words,
  r: Words,
  bits: number,
  harmonics: number,
  stride: 1 | 2,
  trigBits: number,
): void {
  sized(ring.memory, 2 * harmonics * r.length, out);
  period(bits);
  ring.kernels.fourierSecrets(out.pointer, r.pointer, r.length, bits, harmonics, stride, trigBits);
}

/**
 * A party's share of a Fourier series of an opened value. `factors`: the coefficients of the cosines, then of the sines,
 * times the factor's scale; harmonics are consecutive (stride 1) or odd (2).
 */
export function evaluateFourier(
  ring: Ring,
  out: Words,
  x: Words,
  bits: number,
  stride: 1 | 2,
  factors: Float64Array,
  shares: Words,
): void {
  sized(ring.memory, out.length, out, x);
  sized(ring.memory, factors.length * x.length, shares);
  exactFactors(factors);
  period(bits);
  const count = factors.length / 2;
  withFactors(ring.memory, factors, (pointer) =>
    ring.kernels.fourierEvaluate(out.pointer, x.pointer, x.length, bits, count, stride, pointer, shares.pointer),
  );
}

/** The same in the clear, at r = 0. */
export function fourierClear(
  ring: Ring,
  out: Words,
  x: Words,
  bits: number,
  stride: 1 | 2,
  factors: Float64Array,
  trigBits: number,
): void {
  sized(ring.memory, out.length, out, x);
  exactFactors(factors);
  period(bits);
  const count = factors.length / 2;
  withFactors(ring.memory, factors, (pointer) =>
    ring.kernels.fourierClear(out.pointer, x.pointer, x.length, bits, count, stride, pointer, trigBits),
  );
}

/** Beyond 2^51 the kernels' rounding would fail silently. */
function exactFactors(factors: Float64Array): void {
  if (!factors.every((f) => Math.abs(f) < 2 ** 50)) throw new RangeError("a factor of a Fourier series is too large");
}

/** An angle's bits: beyond, a double does not hold it. */
function period(bits: number): void {
  if (!(Number.isInteger(bits) && bits >= 1 && bits <= 53))
    throw new RangeError(`a period of 2^${bits} is not from 2^1 to 2^53`);
}

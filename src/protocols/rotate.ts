/**
 * Rotary positions (Su et al., RoFormer, arXiv:2104.09864) as a public linear map of integers.
 *
 *   out[j] = y[j]·c - y[j + w/2]·s,   out[j + w/2] = y[j + w/2]·c + y[j]·s,   c and s at 2^ROTATION_SCALE_BITS
 *
 * It acts on each party's part of a linear layer's result: no message, no flight. The parties must turn by the same integers,
 * so angles are integers from the program on, and the cosines are the kernels' own.
 */

import { ROTATION_BITS, ROTATION_SCALE_BITS, type Rotation } from "../program/steps.ts";
import { fourierSecrets } from "../ring/fourier.ts";
import type { Words } from "../ring/memory.ts";
import type { Wide } from "../ring/wide.ts";
import type { Combination } from "./combination.ts";
import type { Scope } from "./scope.ts";

/** Bits of an angle as the kernels take it: a full turn is 2^24. */
const ANGLE_BITS = 24;

/** out = y [rows, columns], row i turned by the angles of position rotation.position + i. */
export function rotateInto(s: Scope, rotation: Rotation, out: Words, y: Words, rows: number, columns: number): void {
  const { ring } = s;
  const { cosines, sines } = factorsOf(s, rotation, rows, columns);
  const swapped = s.temp(y.length);
  swap(s, rotation, swapped, y, rows, columns);
  ring.multiply(swapped, swapped, sines);
  ring.multiply(out, y, cosines);
  ring.add(out, out, swapped);
}

/** The same of wide words: out += y, turned. */
export function rotateWide(
  t: Combination,
  rotation: Rotation,
  out: Wide,
  y: Wide,
  rows: number,
  columns: number,
): void {
  const { cosines, sines } = factorsOf(t, rotation, rows, columns);
  const swapped = t.wide.zeros(y.lo.length, y.hi !== null);
  t.wide.each(swapped, y, (to, from) => swap(t, rotation, to, from, rows, columns));
  t.wide.addProduct(out, cosines, y);
  t.wide.addProduct(out, sines, swapped);
  t.wide.free(swapped);
}

type Temporaries = Pick<Scope, "ring" | "temp">;

/** What y and y with its pairs swapped are multiplied by. */
function factorsOf(
  s: Temporaries,
  rotation: Rotation,
  rows: number,
  columns: number,
): { readonly cosines: Words; readonly sines: Words } {
  const { ring } = s;
  const width = columns / rotation.heads;
  const half = width / 2;
  const trig = s.temp(2 * rows * half);
  fourierSecrets(ring, trig, angles(s, rotation, rows), ANGLE_BITS, 1, 1, ROTATION_SCALE_BITS);
  const [cos, sin] = [trig.part(0, rows * half), trig.part(rows * half, rows * half)];
  const minus = s.temp(sin.length);
  ring.negate(minus, sin);
  const [cosines, sines] = [s.temp(rows * columns), s.temp(rows * columns)];
  for (let left = 0; left < columns; left += width) {
    const right = left + half;
    for (const at of [left, right]) ring.copyBlock(cosines, at, columns, cos, 0, half, rows, half);
    ring.copyBlock(sines, left, columns, minus, 0, half, rows, half);
    ring.copyBlock(sines, right, columns, sin, 0, half, rows, half);
  }
  return { cosines, sines };
}

/** out = y, the halves of each head exchanged. */
function swap({ ring }: Temporaries, { heads }: Rotation, out: Words, y: Words, rows: number, columns: number): void {
  const width = columns / heads;
  const half = width / 2;
  for (let left = 0; left < columns; left += width) {
    const right = left + half;
    ring.copyBlock(out, left, columns, y, right, columns, rows, half);
    ring.copyBlock(out, right, columns, y, left, columns, rows, half);
  }
}

/** Of each row and pair, mod 2^ANGLE_BITS; exact in doubles: positions are below 2^13, frequencies below 2^40. */
function angles(s: Temporaries, { position, frequencies }: Rotation, rows: number): Words {
  const half = frequencies.length;
  const turns = new Float64Array(rows * half);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < half; j++) {
      const turn = ((position + i) * frequencies[j]) % 2 ** ROTATION_BITS;
      turns[i * half + j] = Math.floor(turn / 2 ** (ROTATION_BITS - ANGLE_BITS));
    }
  }
  const words = s.temp(turns.length);
  s.ring.encode(words, turns, 1);
  return words;
}

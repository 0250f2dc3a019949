/** Comparisons of opened values: their blocks, the tree of carries above them (protocols/compare.ts), and counts by place (protocols/count.ts). */
import { sized, whole } from "./checks.ts";
import type { Words } from "./memory.ts";
import type { Ring } from "./ring.ts";

/** The dealer's words of a mask's blocks. */
export function lessThanSecrets(ring: Ring, out: Words, r: Words, width: number, blocks: number): void {
  sized(ring.memory, Math.ceil(blocks / 4) * r.length, out);
  ring.kernels.lessThanSecrets(out.pointer, r.pointer, r.length, width, blocks);
}

/** A party's shares of the leaves: each block's comparison and equality. */
export function lessThanLeaves(
  ring: Ring,
  out: Words,
  c: Words,
  shares: Words,
  width: number,
  blocks: number,
  server: boolean,
): void {
  sized(ring.memory, Math.ceil(blocks / 4) * c.length, shares);
  sized(ring.memory, out.length, out, c);
  ring.kernels.lessThanLeaves(out.pointer, c.pointer, shares.pointer, c.length, width, blocks, server ? 1 : 0);
}

/** The dealer's products of a level's masks. */
export function carrySecrets(ring: Ring, out: Words, rho: Words, nodes: number): void {
  sized(ring.memory, out.length, out, rho);
  ring.kernels.carrySecrets(out.pointer, rho.pointer, out.length, nodes);
}

/** One level of the tree, of opened nodes. */
export function carryLevel(
  ring: Ring,
  out: Words,
  x: Words,
  rho: Words,
  secret: Words,
  nodes: number,
  server: boolean,
): void {
  sized(ring.memory, out.length, out, x, rho);
  sized(ring.memory, out.length, secret);
  ring.kernels.carryLevel(out.pointer, x.pointer, rho.pointer, secret.pointer, out.length, nodes, server ? 1 : 0);
}

/** Bits of the lanes that counts stand in. */
export type LaneBits = 8 | 16;

/** Of each number below `size`, lanes that are 1 at its place, else 0: size lanes a number. In constant time. */
export function oneHotLanes(ring: Ring, out: Words, numbers: Words, size: number, bits: LaneBits): void {
  sized(ring.memory, (numbers.length * size * bits) / 64, out);
  sized(ring.memory, numbers.length, numbers);
  ring.kernels.oneHotLanes(out.pointer, numbers.pointer, numbers.length, size, Math.log2(64 / bits));
}

/**
 * Sums of lanes by rows, mod 2^bits: of each row's numbers those lanes that stand `turns` before a place, counted round. Lane size - 1 - t is
 * place t's. `turns` are public numbers below `size`.
 */
export function addTurnedLanes(
  ring: Ring,
  out: Words,
  lanes: Words,
  turns: Words,
  { rows, size, bits }: { readonly rows: number; readonly size: number; readonly bits: LaneBits },
): void {
  const columns = turns.length / rows;
  whole(rows, columns, size);
  sized(ring.memory, (rows * size * bits) / 64, out);
  sized(ring.memory, (turns.length * size * bits) / 64, lanes);
  sized(ring.memory, turns.length, turns);
  const { pointer } = out;
  ring.kernels.addTurnedLanes(pointer, lanes.pointer, turns.pointer, rows, columns, size, Math.log2(64 / bits));
}

/** out -= a, lane by lane. */
export function subtractLanes(ring: Ring, out: Words, a: Words, bits: LaneBits): void {
  sized(ring.memory, out.length, out, a);
  ring.kernels.subtractLanes(out.pointer, a.pointer, out.length, Math.log2(64 / bits));
}

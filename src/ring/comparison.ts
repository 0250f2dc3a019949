/** Comparisons of opened values: their blocks, and the tree of carries above them (protocols/compare.ts). */
import { sized } from "./checks.ts";
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

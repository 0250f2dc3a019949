/** What crosses the wire or is drawn, addressed: blocks of packed words, and the streams that words come from. */

/** `length` ring elements of `bits` bits each, bit-packed on the wire. */
export interface Block {
  readonly length: number;
  readonly bits: number;
}

/** Elements of all blocks. */
export function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, b) => sum + b.length, 0);
}

/** The streams of the generator that a step draws from: the two masks of an opening, the client's share of what is dealt, a cover. */
export const CLIENT_MASK = 0;
export const SERVER_MASK = 1;
export const SHARE = 2;
export const COVER = 3;
/** Of a check (verify/): the client's mask of an opening, truncated; what hides a check's sums; the chosen openings; the server's key; a challenge. */
export const TRUNCATED = 4;
export const QUOTIENT = 5;
export const SAMPLE = 6;
export const ALPHA = 7;
export const CHALLENGE = 8;
export const COLUMNS = 9;
/** A tag's low and high words, of each purpose above; of bits, one plane after the other. */
export const TAG_LOW = 16;
export const TAG_HIGH = 32;
export const TAG_PLANE = 64;

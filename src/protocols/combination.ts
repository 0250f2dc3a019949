/**
 * What a rule says of the client's share as a sum of words (`client` in rule.ts) is said to this: the same sums are made of words, of their
 * tags and of their keys (verify/combining.ts).
 */
import type { Program, Step, Value, ValueId } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Ring } from "../ring/ring.ts";
import type { Wide, WideRing } from "../ring/wide.ts";
import type { MaskedWeights } from "./sides.ts";

export interface Combination {
  readonly ring: Ring;
  readonly wide: WideRing;
  readonly program: Program;
  /** R of the model's operands. */
  readonly weights: MaskedWeights;
  /** How many planes of bits there are. */
  readonly planes: number;
  value(id: ValueId): Value;
  /** An opened value, the same for both parties. */
  opened(id: ValueId): Words;
  /** Words that are free again after the step. */
  temp(length: number): Words;
  /** Zeros that are free again after the step, with a high plane where `bits` and a tag do not fit into 64 bits. */
  scratch(length: number, bits: number): Wide;
  /** A result: zeros to add to. */
  result(step: Step): Wide;
  /** The sum that an earlier step made. */
  share(id: ValueId): Wide;
  /** A result of bits, plane by plane. */
  bitResult(step: Step): readonly Words[];
  bitShare(id: ValueId): readonly Words[];
  /** The client's words of a step at one address (blocks.ts). */
  words(step: Step, purpose?: number): Wide;
  bits(step: Step, purpose?: number): readonly Words[];
  /** out += the client's share of what is dealt for a product, unless it is one word with the mask of its opening. */
  addDealt(out: Wide, step: Step): void;
  /** The client's part of the mask of an opened value, or of opened bits. */
  mask(id: ValueId): Wide;
  bitMask(id: ValueId): readonly Words[];
  /** R times an opening's random matrix, of one term: made by `fill` when it is first asked for, the same for words and for tags. */
  factors(step: Step, term: number, length: number, fill: (out: Words) => void): Words;
}

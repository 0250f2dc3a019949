/**
 * The check before an answer (docs/verification.md, "Protocol"): COMBINATIONS random sums of all that the client opened, in one message.
 *
 *   client:  Z_l = Σ_j χ_lj 2^(64-k_j) ŷ_j + 2^64 q_l,   T_l = the same sum over tags,   mod 2^(64 + TAG_BITS)
 *   server:  Z_l = Σ_j χ_lj 2^(64-k_j) y_j mod 2^64,     T_l = α·Z_l + the same sum over keys
 *
 * y_j is what came, of k_j bits; ŷ_j the sum of words that makes it, not reduced. Of bits the same with XOR. Results of a linear layer are
 * first multiplied by a random binary matrix, so that R is: a product of the layer's outputs with COLUMNS columns.
 */
import type { Program, Step, StepOf } from "../../program/steps.ts";
import type { Words } from "../../ring/memory.ts";
import type { Prg } from "../../ring/prg.ts";
import type { Ring } from "../../ring/ring.ts";
import { COMBINATIONS, Tally, type Wide, WideRing } from "../../ring/wide.ts";
import { ruleOf, trafficOf } from "../all.ts";
import { type Block, CHALLENGE, CLIENT_MASK, COLUMNS, lengthOf, QUOTIENT } from "../blocks.ts";
import { bytesOf } from "../cost.ts";
import { combineColumns } from "../linear.ts";
import { packAll, partsOf, unpackAll } from "../packing.ts";
import type { MaskedWeights } from "../sides.ts";
import { Combining, Factors, type Publics, type WordSource } from "./combining.ts";
import { type Alpha, DrawnTags, DrawnWords } from "./sources.ts";
import { coneOf, opensBits, producer, TAG_BITS } from "./words.ts";

/** Columns that a linear layer's results are multiplied to. */
export const CHECKED_COLUMNS = 32;

/** What one check is about. */
export interface Checked {
  readonly ring: Ring;
  readonly program: Program;
  /** In the program's order. */
  readonly openings: readonly Step[];
  /** The answer that waits: its words hide the sums' upper bits. */
  readonly answer: Step;
  /** Public: the server's random choice, once the client has opened all of it. */
  readonly challenge: Prg;
  readonly publics: Publics;
  /** R, which both parties draw. */
  readonly weights: MaskedWeights;
}

/** Sums of one kind of words, and of bits for each plane. */
interface Sums {
  readonly ring: Wide;
  readonly bits: readonly Words[];
}

/** How many bits an opening's client sends for each element. */
function widthOf(step: Step, program: Program): Block {
  const { ahead, fromClient } = trafficOf(step, program);
  return (ahead ?? fromClient)!;
}

type Open = StepOf<"open">;

/** The linear layer whose result is opened, where its columns can be combined before R is multiplied. */
export function combinedLayer(step: Step, program: Program): StepOf<"linear"> | null {
  if (step.kind !== "open") return null;
  const from = producer(program, step.x);
  const wide = program.values[step.x].columns > CHECKED_COLUMNS;
  return from.kind === "linear" && from.rotate === null && wide ? from : null;
}

/** The random binary matrix of an opening, [columns, CHECKED_COLUMNS]. */
function columnsOf({ ring, program, challenge }: Checked, step: Open): Words {
  const { columns } = program.values[step.x];
  const words = ring.alloc(columns * CHECKED_COLUMNS);
  challenge.words(ring, words, step.id, COLUMNS, 1);
  return words;
}

/** Which sums each of `count` elements enters. */
function choices({ ring, challenge }: Checked, step: Step, count: number): Words {
  const words = ring.alloc(Math.ceil(count / 2));
  challenge.words(ring, words, step.id, CHALLENGE);
  return words;
}

/** The sums over words, tags or keys of all openings. */
function sumsOf(checked: Checked, source: WordSource, factors: Factors): Sums {
  const { ring, program, openings, answer, publics, weights } = checked;
  const t = new Combining(ring, program, source, { publics, weights, factors });
  const plain = openings.filter((step) => combinedLayer(step, program) === null);
  const order = coneOf(program, plain).steps;
  const readers = new Map<number, number>();
  const reads = (step: Step) => program.reads[step.id].filter((id) => /^(share|bits)$/.test(program.values[id].form));
  for (const step of [...order, ...plain]) for (const id of reads(step)) readers.set(id, (readers.get(id) ?? 0) + 1);
  const release = (step: Step) => {
    t.done();
    for (const id of reads(step)) {
      const left = readers.get(id)! - 1;
      readers.set(id, left);
      if (left === 0) t.forget(id);
    }
  };
  const tally = new Tally(ring);
  const planes = opensBits(program) ? Array.from({ length: source.planes }, () => new Tally(ring)) : [];
  try {
    const all = new Set([...order, ...openings]);
    for (const step of [...all].sort((a, b) => a.id - b.id)) {
      if (openings.includes(step)) addOpening(checked, t, step, tally, planes);
      else ruleOf(step).client?.combine(t, step);
      if (combinedLayer(step, program) === null) release(step);
      else t.done();
    }
    const sums = hidden(ring, tally, t.words(answer, QUOTIENT));
    return { ring: sums, bits: planes.map((plane) => bitsOf(ring, plane)) };
  } finally {
    t.close();
  }
}

function addOpening(checked: Checked, t: Combining, step: Step, tally: Tally, planes: readonly Tally[]): void {
  const { ring, program } = checked;
  const { length, bits } = widthOf(step, program);
  if (step.kind === "openBits") {
    const chi = choices(checked, step, length);
    t.bits(step, CLIENT_MASK).forEach((mask, plane) => {
      ring.xor(mask, mask, t.bitShare(step.x)[plane]);
      planes[plane].xor(mask, chi);
    });
    return ring.free(chi);
  }
  if (step.kind !== "open") return;
  const sum = messageOf(checked, t, step, bits);
  const chi = choices(checked, step, sum.lo.length);
  tally.add(sum, chi, 64 - bits);
  ring.free(chi);
}

/** What an opening's client sends, of its words: of a linear layer times the random matrix. */
function messageOf(checked: Checked, t: Combining, step: Open, bits: number): Wide {
  const { ring, program } = checked;
  const { rows, columns } = program.values[step.x];
  const layer = combinedLayer(step, program);
  const sum = t.scratch(layer === null ? rows * columns : rows * CHECKED_COLUMNS, bits);
  const mask = t.words(step, CLIENT_MASK);
  if (layer === null) {
    t.wide.add(sum, t.share(step.x));
    t.wide.add(sum, mask);
    return sum;
  }
  const matrix = columnsOf(checked, step);
  combineColumns(t, layer, mask, matrix, sum);
  ring.free(matrix);
  return sum;
}

/** The sums of a tally, with what hides their upper bits. */
function hidden(ring: Ring, tally: Tally, quotients: Wide): Wide {
  const sums = taken(ring, tally);
  ring.add(sums.hi!, sums.hi!, quotients.lo);
  ring.reduce(sums.hi!, sums.hi!, TAG_BITS);
  return sums;
}

function taken(ring: Ring, tally: Tally, bits = false): Wide {
  const both = ring.alloc(2 * COMBINATIONS);
  tally.take(both, bits);
  const [lo, hi] = [ring.alloc(COMBINATIONS), ring.alloc(COMBINATIONS)];
  ring.copyBlock(lo, 0, 1, both, 0, 2, COMBINATIONS, 1);
  ring.copyBlock(hi, 0, 1, both, 1, 2, COMBINATIONS, 1);
  ring.free(both);
  return { lo, hi };
}

const LOW: Block = { length: COMBINATIONS, bits: 64 };
const HIGH: Block = { length: COMBINATIONS, bits: TAG_BITS };

/** A client's answer: Z and T, and of bits Z and every plane of T. */
function answerBlocks(program: Program): readonly Block[] {
  return [LOW, HIGH, LOW, HIGH, ...(opensBits(program) ? Array.from({ length: 1 + TAG_BITS }, () => LOW) : [])];
}

/** Bytes of an answer. */
export function answerBytes(program: Program): number {
  return bytesOf(answerBlocks(program));
}

/** The client's answer to a challenge. */
export function answerTo(checked: Checked, withDealer: Prg): Uint8Array {
  const { ring, program } = checked;
  const factors = new Factors(ring);
  const z = sumsOf(checked, new DrawnWords(ring, program, withDealer), factors);
  const t = sumsOf(checked, new DrawnTags(ring, withDealer), factors);
  factors.close();
  const words = [z, t].flatMap(({ ring: { lo, hi } }) => [lo, hi!]).concat(z.bits, t.bits);
  const packed = packAll(ring, words, answerBlocks(program));
  for (const w of words) ring.free(w);
  return packed;
}

/** What the server has of one run: its secret, its keys, and what came of each opening. */
export interface ServerSide {
  readonly alpha: Alpha;
  readonly keys: WordSource;
  /** The client's message of an opening, mod 2^bits; the callee's. */
  readonly came: (step: Step) => Words;
}

/** The server's sums of one check, made while the client makes its own. */
export interface Judge {
  /** Whether an answer proves every opening; once. Nothing in its time depends on where a sum is wrong. */
  accepts(answer: Uint8Array): boolean;
  /** Where no answer comes. */
  close(): void;
}

/** The server's side of a check. */
export function judging(checked: Checked, server: ServerSide): Judge {
  const factors = new Factors(checked.ring);
  const keys = sumsOf(checked, server.keys, factors);
  factors.close();
  const came = sumsThatCame(checked, server);
  const all = [keys.ring.lo, keys.ring.hi!, came.ring.lo, came.ring.hi!, ...keys.bits, ...came.bits];
  const close = () => {
    for (const words of all.splice(0)) checked.ring.free(words);
  };
  const judged = (answer: Uint8Array) => {
    try {
      return fits(checked, server.alpha, { keys, came }, answer);
    } finally {
      close();
    }
  };
  return { accepts: judged, close };
}

function fits(
  { ring, program }: Checked,
  alpha: Alpha,
  { keys, came }: { readonly keys: Sums; readonly came: Sums },
  answer: Uint8Array,
): boolean {
  const blocks = answerBlocks(program);
  const all = ring.alloc(lengthOf(blocks));
  unpackAll(ring, all, answer, blocks);
  const [zLow, zHigh, tLow, tHigh, ...bits] = partsOf(all, blocks);
  const wide = new WideRing(ring);
  const rest = { lo: tLow, hi: tHigh };
  wide.add(rest, keys.ring, true);
  wide.subtractScaled(rest, zLow, alpha.word);
  const top = ring.alloc(COMBINATIONS);
  ring.repeat(top, alpha.word.lo, COMBINATIONS);
  ring.multiply(top, top, zHigh);
  ring.subtract(tHigh, tHigh, top);
  ring.reduce(tHigh, tHigh, TAG_BITS);
  ring.subtract(zLow, zLow, came.ring.lo);
  let wrong = someBit(zLow) | someBit(tLow) | someBit(tHigh);
  const [z, ...planes] = bits;
  planes.forEach((t, plane) => {
    ring.xor(t, t, keys.bits[plane]);
    alpha.addPlane(t, z, plane);
    wrong |= someBit(t);
  });
  if (z !== undefined) {
    ring.xor(z, z, came.bits[0]);
    wrong |= someBit(z);
  }
  for (const words of [all, top]) ring.free(words);
  return wrong === 0;
}

function someBit(words: Words): number {
  return words.i32().reduce((sum, half) => sum | half, 0);
}

/** The same sums over what came. */
function sumsThatCame(checked: Checked, { came }: ServerSide): Sums {
  const { ring, program } = checked;
  const [tally, bits] = [new Tally(ring), opensBits(program) ? [new Tally(ring)] : []];
  for (const step of checked.openings) {
    const message = came(step);
    const { bits: width } = widthOf(step, program);
    const layer = combinedLayer(step, program);
    if (layer === null || step.kind !== "open") {
      const chi = choices(checked, step, message.length);
      if (step.kind === "openBits") bits[0].xor(message, chi);
      else tally.add({ lo: message, hi: null }, chi, 64 - width);
      ring.free(chi);
    } else {
      const { rows, columns } = program.values[step.x];
      const [matrix, product] = [columnsOf(checked, step), ring.alloc(rows * CHECKED_COLUMNS)];
      ring.products.matmul(product, message, matrix, rows, columns, CHECKED_COLUMNS);
      const chi = choices(checked, step, product.length);
      tally.add({ lo: product, hi: null }, chi, 64 - width);
      for (const words of [matrix, product, chi]) ring.free(words);
    }
    ring.free(message);
  }
  return { ring: taken(ring, tally), bits: bits.map((plane) => bitsOf(ring, plane)) };
}

function bitsOf(ring: Ring, plane: Tally): Words {
  const { lo, hi } = taken(ring, plane, true);
  ring.free(hi!);
  return lo;
}

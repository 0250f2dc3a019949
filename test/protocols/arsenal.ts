/** What a client may do that an honest one does not: to each opening's message, and to its answer. Tried against one recorded session. */
import type { Program, Step } from "../../src/program/steps.ts";
import { trafficOf } from "../../src/protocols/all.ts";
import { CHALLENGE } from "../../src/protocols/blocks.ts";
import { type Checked, combinedLayer, type ServerSide } from "../../src/protocols/verify/check.ts";
import { TAG_BITS } from "../../src/protocols/verify/words.ts";
import type { Words } from "../../src/ring/memory.ts";
import { COMBINATIONS } from "../../src/ring/wide.ts";

export type Accepts = (checked: Checked, server: ServerSide, answer: Uint8Array) => boolean;

/** Numbers below a bound. */
export type Random = (below: number) => number;

/** xorshift on 32 bits: tries can be repeated. */
export function randomOf(seed: number): Random {
  let s = seed | 1;
  return (below) => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) % below;
  };
}

function view(words: Words): BigUint64Array {
  const bytes = words.bytes();
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, words.length);
}

function random64(random: Random): bigint {
  return (BigInt(random(2 ** 31)) << 40n) ^ (BigInt(random(2 ** 31)) << 20n) ^ BigInt(random(2 ** 31));
}

/** Changes a message of `bits` bits a word in place. */
export type Change = (words: BigUint64Array, bits: bigint, random: Random) => void;

/** Changes of one message. Every one of them changes something. */
export const CHANGES: Readonly<Record<string, Change>> = {
  "one more": (words, _bits, random) => {
    words[random(words.length)]++;
  },
  "a random word": (words, _bits, random) => {
    const at = random(words.length);
    words[at] += random64(random) | 1n;
  },
  "a top bit": (words, bits, random) => {
    words[random(words.length)] ^= 1n << (bits - 1n);
  },
  "the top bit of all": (words, bits) => {
    for (const [i, w] of words.entries()) words[i] = w ^ (1n << (bits - 1n));
  },
  "top bits of two": (words, bits, random) => {
    const at = random(words.length);
    words[at] ^= 1n << (bits - 1n);
    words[(at + 1) % words.length] ^= bits > 1n || words.length > 1 ? 1n << (bits - 1n) : 0n;
  },
  "many small ones": (words, _bits, random) => {
    words[0]++;
    for (let i = 1; i < words.length; i++) words[i] += BigInt(random(2));
  },
  "a lie that cancels in the sum": (words, _bits, random) => {
    const [a, b] = [random(words.length), random(words.length)];
    words[a]++;
    words[b === a ? (b + 1) % words.length : b]--;
  },
  zeros: (words) => {
    words[0] = words[0] === 0n ? 1n : words[0];
    words.fill(0n);
  },
  "its own words in another order": (words, bits) => {
    const mask = (1n << bits) - 1n;
    const at = words.findIndex((w) => ((w ^ words[0]) & mask) !== 0n);
    if (at < 0) words[0]++;
    else [words[0], words[at]] = [words[at], words[0]];
  },
};

/** The bits of an opening's message. */
function bitsOf({ program }: Pick<Checked, "program">, step: Step): bigint {
  const { ahead, fromClient } = trafficOf(step, program);
  return BigInt((ahead ?? fromClient)!.bits);
}

/** Changes an opening's message, or the share that it is made of, in place: in its highest bit where the change changes nothing. */
export function changeWords(program: Program, step: Step, words: Words, change: Change, random: Random): void {
  const bits = bitsOf({ program }, step);
  const now = view(words);
  const before = [...now];
  change(now, bits, random);
  const mask = (1n << bits) - 1n;
  for (const [i, w] of now.entries()) now[i] = w & mask;
  if (before.every((w, i) => (w & mask) === now[i])) now[0] ^= 1n << (bits - 1n);
}

/** A server to which some openings came otherwise. @throws Error for a change that changes nothing. */
export function otherwise(
  checked: Checked,
  server: ServerSide,
  changes: ReadonlyMap<number, Change>,
  random: Random,
): ServerSide {
  const came = (step: Step) => {
    const words = server.came(step);
    const change = changes.get(step.id);
    if (change === undefined) return words;
    changeWords(checked.program, step, words, change, random);
    return words;
  };
  return { ...server, came };
}

/** An answer that fits what was sent: Z of one word that had δ more, T with a guess of α. */
function fitting(
  checked: Checked,
  answer: Uint8Array,
  { step, at, delta }: { readonly step: Step; readonly at: number; readonly delta: bigint },
  alpha: bigint,
): Uint8Array {
  const { ring } = checked;
  const { rows, columns } = checked.program.values[step.out];
  const chi = ring.alloc(Math.ceil((rows * columns) / 2));
  checked.challenge.words(ring, chi, step.id, CHALLENGE);
  const choice = chi.i32()[at];
  ring.free(chi);
  const sums = unpackSums(answer);
  const mask = (1n << BigInt(64 + TAG_BITS)) - 1n;
  const shift = 64n - bitsOf(checked, step);
  for (let l = 0; l < COMBINATIONS; l++) {
    if (((choice >>> l) & 1) === 0) continue;
    sums.z[l] = (sums.z[l] + (delta << shift)) & mask;
    sums.t[l] = (sums.t[l] + alpha * (delta << shift)) & mask;
  }
  return packSums(answer, sums);
}

/** Openings whose words enter the sums one by one. */
function singly(checked: Checked): Step[] {
  return checked.openings.filter((s) => s.kind === "open" && combinedLayer(s, checked.program) === null);
}

interface SumsOfAnswer {
  readonly z: bigint[];
  readonly t: bigint[];
}

const LOW_BYTES = 8 * COMBINATIONS;
const HIGH_BYTES = (TAG_BITS * COMBINATIONS) / 8;

function unpackSums(answer: Uint8Array): SumsOfAnswer {
  const part = (at: number): bigint[] => {
    const view = new DataView(answer.buffer, answer.byteOffset + at);
    const big = [...answer.subarray(at + LOW_BYTES, at + LOW_BYTES + HIGH_BYTES)].reduce(
      (sum, b, i) => sum | (BigInt(b) << BigInt(8 * i)),
      0n,
    );
    return Array.from({ length: COMBINATIONS }, (_, l) => {
      const high = (big >> BigInt(TAG_BITS * l)) & ((1n << BigInt(TAG_BITS)) - 1n);
      return view.getBigUint64(8 * l, true) | (high << 64n);
    });
  };
  return { z: part(0), t: part(LOW_BYTES + HIGH_BYTES) };
}

function packSums(answer: Uint8Array, sums: SumsOfAnswer): Uint8Array {
  const out = answer.slice();
  [sums.z, sums.t].forEach((words, index) => {
    const at = index * (LOW_BYTES + HIGH_BYTES);
    const view = new DataView(out.buffer, out.byteOffset + at);
    let big = 0n;
    words.forEach((w, l) => {
      view.setBigUint64(8 * l, BigInt.asUintN(64, w), true);
      big |= (w >> 64n) << BigInt(TAG_BITS * l);
    });
    for (let i = 0; i < HIGH_BYTES; i++) out[at + LOW_BYTES + i] = Number((big >> BigInt(8 * i)) & 255n);
  });
  return out;
}

/**
 * An answer with another mask above one Z's 64 bits, in one bit: no lie about what was opened. It passes where α has as many low bits zero as there are bits
 * from there on, and tells no more of α than that: docs/verification.md, "Proof", 3.
 */
export function remasked(answer: Uint8Array, random: Random): Uint8Array {
  const out = answer.slice();
  const bit = 8 * LOW_BYTES + random(8 * HIGH_BYTES);
  out[bit >> 3] ^= 1 << (bit & 7);
  return out;
}

/** Of all of these bits, how many pass in the mean. */
export const REMASKED_PASS = (1 - 2 ** -TAG_BITS) / TAG_BITS;

/** An answer with two of its sums exchanged, Z and T alike. */
function exchanged(answer: Uint8Array, random: Random): Uint8Array {
  const sums = unpackSums(answer);
  const a = random(COMBINATIONS);
  const b = (a + 1 + random(COMBINATIONS - 1)) % COMBINATIONS;
  for (const all of [sums.z, sums.t]) [all[a], all[b]] = [all[b], all[a]];
  return packSums(answer, sums);
}

/** One dishonest try of a kind; what was tried, and whether it passed. */
export function tried(accepts: Accepts, checked: Checked, server: ServerSide, answer: Uint8Array, random: Random) {
  const { openings } = checked;
  const names = Object.keys(CHANGES);
  const name = names[random(names.length)];
  const target = openings[random(openings.length)];
  const which = random(7);
  if (which < 2) {
    const changes = new Map([[target.id, CHANGES[name]]]);
    return {
      what: `${name}, step ${target.id}`,
      kind: name,
      passed: accepts(checked, otherwise(checked, server, changes, random), answer),
    };
  }
  if (which === 2) {
    const several = Array.from({ length: 3 }, () => openings[random(openings.length)].id);
    const changes = new Map(several.map((id) => [id, CHANGES["one more"]] as const));
    return {
      kind: "several openings",
      what: `one more in ${several}`,
      passed: accepts(checked, otherwise(checked, server, changes, random), answer),
    };
  }
  if (which === 3) {
    const lied = answer.slice();
    // Of Z, T and their bits; what is above Z's 64 bits is the client's own mask.
    const any = random(8 * (lied.length - HIGH_BYTES));
    const bit = any < 8 * LOW_BYTES ? any : any + 8 * HIGH_BYTES;
    lied[bit >> 3] ^= 1 << (bit & 7);
    return { what: `bit ${bit} of the answer`, kind: "a bit of the answer", passed: accepts(checked, server, lied) };
  }
  if (which === 4) {
    const lied = exchanged(answer, random);
    return {
      what: "two sums of the answer in another order",
      kind: "exchanged sums",
      passed: accepts(checked, server, lied),
    };
  }
  if (which === 5) {
    const other = openings[random(openings.length)];
    const replay: Change = (words) => {
      const from = view(server.came(other));
      for (let i = 0; i < words.length; i++) words[i] = from[i % from.length];
    };
    const changed = otherwise(checked, server, new Map([[target.id, replay]]), random);
    return {
      what: `the words of ${other.id} in ${target.id}`,
      kind: "replay",
      passed: accepts(checked, changed, answer),
    };
  }
  const step = singly(checked)[random(singly(checked).length)];
  const { rows, columns } = checked.program.values[step.out];
  const at = random(rows * columns);
  const delta = random(2) === 0 ? 1n : 1n << (bitsOf(checked, step) - 1n);
  const change: Change = (words) => {
    words[at] += delta;
  };
  const fits = fitting(checked, answer, { step, at, delta }, random64(random));
  const what = `an answer that fits ${delta} at ${at} of step ${step.id}`;
  const changed = otherwise(checked, server, new Map([[step.id, change]]), random);
  return { what, kind: "an answer that fits", passed: accepts(checked, changed, fits) };
}

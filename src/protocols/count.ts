/**
 * The largest of many values, nearly, in two openings whatever their number: by counting.
 *
 * counts:  c = x + r mod 2^k is open. With i = (c - least) >> l, t = i - (r >> l) mod D is the interval of 2^l that x lies in, or the
 *          next one, where the low bits carried. The dealer shares, for each value, the one-hot vector of r's top bits over D = 2^(k-l)
 *          places, in lanes of 8 or 16 bits: turned by the public i it is that of t. Added up over a row, and from the top down,
 *          it is for each v the number of the row's values with t > v.
 * nonzero: such a number, opened under a mask ρ mod 2^w, is zero where c = ρ: the dealer shares, XOR, the one-hot vector of ρ.
 *
 * The number of v whose count is not zero is the largest t. Both are local online. What is opened between them is uniform, as
 * every opening is, and what is dealt is uniform in every lane and bit. (docs/protocols.md, "Maxima".)
 */
import { log2 } from "../program/maths.ts";
import type { Program, StepOf } from "../program/steps.ts";
import { addTurnedLanes, type LaneBits, oneHotLanes } from "../ring/comparison.ts";
import type { Words } from "../ring/memory.ts";
import { type Block, lengthOf } from "./blocks.ts";
import type { Combination } from "./combination.ts";
import { elements, expectSameShape, halves, type LocalRule, NO_PARTS, outOf } from "./rule.ts";
import type { Scope } from "./scope.ts";

type Counts = StepOf<"counts">;
type Nonzero = StepOf<"nonzero">;

/** Bits that a count of up to `most` needs. */
export function countBits(most: number): number {
  return Math.ceil(log2(most + 1));
}

function places({ bits, unitBits }: Counts): number {
  return 2 ** (bits - unitBits);
}

/** Bits of a lane: a row's counts must not wrap. */
function laneBits(step: Counts, program: Program): LaneBits {
  return program.values[step.x].columns < 2 ** 8 ? 8 : 16;
}

function lanes(step: Counts, program: Program): Block[] {
  const bits = elements(program.values[step.x]) * places(step) * laneBits(step, program);
  return [{ length: bits / 64, bits: 64 }];
}

/** Of every value the top bits that choose among the places. */
function topBits(s: Pick<Scope, "ring" | "temp">, step: Counts, x: Words, from: number): Words {
  const part = s.temp(x.length);
  s.ring.addConstant(part, x, ...halves(-from));
  s.ring.truncate(part, part, step.bits, step.unitBits, step.bits - step.unitBits);
  return part;
}

function lanesOf(words: Words, bits: LaneBits): Uint8Array | Uint16Array {
  const bytes = words.bytes();
  return bits === 8 ? bytes : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
}

/** From how many values of a row lie in each place to how many lie above each but the last. */
function aboveEach(s: Scope, step: Counts, out: Words, perPlace: Float64Array): void {
  const size = places(step);
  const above = new Float64Array(out.length);
  for (let row = 0; row < perPlace.length / size; row++) {
    let sum = 0;
    for (let v = size - 2; v >= 0; v--) {
      sum += perPlace[row * size + v + 1];
      above[row * (size - 1) + v] = sum;
    }
  }
  s.ring.encode(out, above, 1);
}

export const counts: LocalRule<"counts"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, _values, need) => need(step.x, step.bits),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "masked" && out.form === "share", "gives a share of a masked value's counts");
    expect(out.rows === x.rows && out.columns === places(step) - 1, "has a count for each place but the last");
    expect(step.unitBits >= 1 && places(step) >= 8 && places(step) <= 2 ** 16, "has 8 to 65,536 places");
    expect(out.ring <= laneBits(step, program), "has counts that fit a lane");
  },

  traffic: (step, program) => ({ dealt: lanes(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(lanes(step, d.program)));
    const bits = laneBits(step, d.program);
    oneHotLanes(d.ring, secret, topBits(d, step, d.get("full", step.x), 0), places(step), bits);
    d.dealLanes(step, secret, bits);
  },

  run(p, step) {
    const { rows } = p.value(step.x);
    const [size, bits] = [places(step), laneBits(step, p.program)];
    const turns = topBits(p, step, p.get("public", step.x), step.least);
    const sums = p.temp((rows * size * bits) / 64);
    addTurnedLanes(p.ring, sums, p.dealt(step, lanes(step, p.program)), turns, { rows, size, bits });
    // Place t is lane size - 1 - t.
    const own = lanesOf(sums, bits);
    const perPlace = new Float64Array(rows * size);
    for (let row = 0; row < rows; row++)
      for (let t = 0; t < size; t++) perPlace[row * size + t] = own[(row + 1) * size - 1 - t];
    aboveEach(p, step, p.set("share", step.out, p.ring.alloc(elements(p.value(step.out)))), perPlace);
  },

  client: {
    masks: () => [],
    combine: (t, step) => combineCounts(t, step),
  },

  clear(c, step, out) {
    const { columns } = c.value(step.x);
    const size = places(step);
    // Beyond the first and the last place, less what carries, a value comes back at the other end.
    c.checkRange(step, c.value(step.x), c.x(step.x), [step.least, step.least + (size - 1) * 2 ** step.unitBits]);
    const perPlace = new Float64Array((out.length / (size - 1)) * size);
    const top = topBits(c, step, c.x(step.x), step.least);
    c.ring.decode(top, 64, 1).forEach((t, e) => {
      perPlace[Math.floor(e / columns) * size + t]++;
    });
    aboveEach(c, step, out, perPlace);
  },
};

/** The client's part: lanes are words here, turned and added up as `run` does it. */
function combineCounts(t: Combination, step: Counts): void {
  const { rows, columns } = t.value(step.x);
  const size = places(step);
  const { lo: lanes } = t.words(step);
  const [perPlace, turned, at] = [t.temp(rows * size), t.temp(size), new Int32Array(size)];
  t.ring.zero(perPlace);
  t.ring.decode(topBits(t, step, t.opened(step.x), step.least), 64, 1).forEach((turn, e) => {
    const to = perPlace.part(Math.floor(e / columns) * size, size);
    // Place v has the lane turn - v, counted round.
    for (let v = 0; v < size; v++) at[v] = e * size + ((turn - v + size) % size);
    t.ring.take(turned, lanes, at);
    t.ring.add(to, to, turned);
  });
  const { lo: out } = t.result(step);
  const byPlace = t.temp(rows * size);
  t.ring.transpose(byPlace, perPlace, rows, size);
  const above = t.temp(rows);
  t.ring.zero(above);
  const sums = t.temp(rows * (size - 1));
  for (let v = size - 2; v >= 0; v--) {
    t.ring.add(above, above, byPlace.part((v + 1) * rows, rows));
    t.ring.copy(sums.part(v * rows, rows), above);
  }
  t.ring.transpose(out, sums, size - 1, rows);
}

/** 32-bit halves of a value's table. */
function tableHalves(step: Nonzero): number {
  return 2 * Math.max(1, 2 ** (step.bits - 6));
}

function tables(step: Nonzero, program: Program): Block[] {
  return [{ length: (elements(outOf(step, program)) * tableHalves(step)) / 2, bits: 64 }];
}

/** Bit j of PATTERNS[b]: bit b of j. */
const PATTERNS = [0xaaaaaaaa, 0xcccccccc, 0xf0f0f0f0, 0xff00ff00, 0xffff0000];

export const nonzero: LocalRule<"nonzero"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, _values, need) => need(step.x, step.bits),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "masked" && out.form === "bits" && out.ring === 1, "gives a shared bit of a masked value");
    expectSameShape(expect, x, out);
    expect(step.bits >= 1 && step.bits <= 16, "has a table of at most 2^16 bits");
  },

  traffic: (step, program) => ({ dealt: tables(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(tables(step, d.program)));
    const rho = d.temp(elements(d.value(step.out)));
    d.ring.reduce(rho, d.get("full", step.x), step.bits);
    const [to, from] = [secret.i32(), rho.i32()];
    const size = tableHalves(step);
    for (let e = 0; e < rho.length; e++) {
      const value = from[2 * e];
      let low = -1;
      for (let b = 0; b < PATTERNS.length; b++) low &= PATTERNS[b] ^ (((value >> b) & 1) - 1);
      for (let h = 0; h < size; h++) to[e * size + h] = low & -(((h ^ (value >> 5)) - 1) >>> 31);
    }
    d.dealBits(step, secret);
  },

  run(p, step) {
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    lookUp(p, step, out, p.get("public", step.x), p.dealt(step, tables(step, p.program)), p.isServer ? 1 : 0);
  },

  client: {
    masks: () => [],
    combine(t, step) {
      const shares = t.bits(step);
      t.bitResult(step).forEach((out, plane) => {
        lookUp(t, step, out, t.opened(step.x), shares[plane], 0);
      });
    },
  },

  clear(c, step, out) {
    c.ring.encode(
      out,
      c.ring.decode(c.x(step.x), 64, 1).map((x) => (x === 0 ? 0 : 1)),
      1,
    );
  },
};

/** out = the bit of each value's table that c names, XOR `own`. */
function lookUp(
  s: Pick<Scope, "ring" | "temp">,
  step: Nonzero,
  out: Words,
  opened: Words,
  table: Words,
  own: number,
): void {
  const c = s.temp(out.length);
  s.ring.reduce(c, opened, step.bits);
  const size = tableHalves(step);
  const places = s.ring.decode(c, 64, 1);
  const shares = table.i32();
  s.ring.encode(
    out,
    places.map((at, e) => own ^ ((shares[e * size + (at >> 5)] >>> (at & 31)) & 1)),
    1,
  );
}

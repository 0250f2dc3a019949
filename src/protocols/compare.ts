/**
 * Sign of an opened value: [x >= 0] as a bit, from c = x + r mod 2^m (public c, secret r).
 *
 *   msb(x) = msb(c) ⊕ msb(r) ⊕ [c mod 2^(m-1) < r mod 2^(m-1)]
 *
 * The dealer shares, XOR, all monomials of each block of four bits of r: a block's "less" and "equal" are then local for
 * public c. Blocks join pairwise, (g1,p1)∘(g0,p0) = (g1 ⊕ p1·g0, p1·p0), one opening of masked bits a level. The last bit
 * opens masked and enters polynomials as the variable kind "bit". Flights: ceil(log2 of the number of blocks) + 1.
 */

import { liftBits } from "../program/lift.ts";
import type { Program, StepOf } from "../program/steps.ts";
import { carryLevel, carrySecrets, lessThanLeaves, lessThanSecrets } from "../ring/comparison.ts";
import { type Block, CLIENT_MASK, lengthOf, SERVER_MASK } from "./blocks.ts";
import { elements, expectSameShape, type LocalRule, NO_PARTS, type OpeningRule, outOf } from "./rule.ts";

/** Bits of a level of the tree: g and p of each node and the sign; a finished tree is one bit. */
export function treeBits(nodes: number): number {
  return nodes === 1 ? 1 : 2 * nodes + 1;
}

function monomials(step: StepOf<"lessThan">, program: Program): Block[] {
  return [{ length: elements(program.values[step.x]) * Math.ceil(step.blocks / 4), bits: 64 }];
}

export const lessThan: LocalRule<"lessThan"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs: (step, values, need) => need(step.x, liftBits(values[step.x])),

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "masked" && out.form === "bits", "gives shared bits of a masked value");
    expectSameShape(expect, x, out);
    expect(4 * step.blocks >= x.ring - 1, "has blocks for all bits below the sign");
    expect(out.ring === treeBits(step.blocks), "has room for its leaves");
  },

  traffic: (step, program) => ({ dealt: monomials(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(monomials(step, d.program)));
    lessThanSecrets(d.ring, secret, d.get("full", step.x), d.value(step.x).ring, step.blocks);
    d.dealBits(step, secret);
  },

  run(p, step) {
    const shares = p.dealt(step, monomials(step, p.program));
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    lessThanLeaves(p.ring, out, p.get("public", step.x), shares, p.value(step.x).ring, step.blocks, p.isServer);
  },

  client: {
    masks: () => [],
    combine(t, step) {
      const [shares, { ring }] = [t.bits(step), t.value(step.x)];
      t.bitResult(step).forEach((out, plane) => {
        lessThanLeaves(t.ring, out, t.opened(step.x), shares[plane], ring, step.blocks, false);
      });
    },
  },

  /** The finished bit at once; the tree above it only passes it on. */
  clear(c, step, out) {
    c.ring.msb(out, c.x(step.x), 64);
    c.ring.negate(out, out);
    c.ring.addConstant(out, out, 1, 0);
  },
};

function ands(step: StepOf<"carry">, program: Program): Block[] {
  return [{ length: elements(program.values[step.x]), bits: 2 * (step.nodes >> 1) }];
}

export const carry: LocalRule<"carry"> = {
  ...NO_PARTS,
  waitsFor: "both",
  reads: (step) => [step.x],
  needs() {},

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "maskedBits" && out.form === "bits", "gives shared bits of opened ones");
    expectSameShape(expect, x, out);
    expect(x.ring === treeBits(step.nodes), "reads as many nodes as it joins");
    expect(out.ring === treeBits(Math.ceil(step.nodes / 2)), "has room for the joined nodes");
  },

  traffic: (step, program) => ({ dealt: ands(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(ands(step, d.program)));
    carrySecrets(d.ring, secret, d.get("full", step.x), step.nodes);
    d.dealBits(step, secret);
  },

  run(p, step) {
    const secret = p.dealt(step, ands(step, p.program));
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    carryLevel(p.ring, out, p.get("public", step.x), p.get("mask", step.x), secret, step.nodes, p.isServer);
  },

  client: {
    masks: (step) => [step.x],
    combine(t, step) {
      const [masks, secrets] = [t.bitMask(step.x), t.bits(step)];
      t.bitResult(step).forEach((out, plane) => {
        carryLevel(t.ring, out, t.opened(step.x), masks[plane], secrets[plane], step.nodes, false);
      });
    },
  },

  clear: (c, step, out) => c.ring.copy(out, c.x(step.x)),
};

/** Opens XOR-shared bits under fresh XOR masks, both ways. One flight. */
export const openBits: OpeningRule<"openBits"> = {
  ...NO_PARTS,
  sentBy: () => "both",
  reads: (step) => [step.x],
  needs() {},

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(x.form === "bits" && out.form === "maskedBits" && x.ring === out.ring, "opens shared bits");
    expectSameShape(expect, x, out);
  },

  traffic(step, program) {
    const value = program.values[step.out];
    const block = { length: elements(value), bits: value.ring };
    return { fromClient: block, fromServer: block };
  },

  deal(d, step) {
    const value = d.value(step.out);
    const full = d.set("full", step.out, d.ring.alloc(elements(value)));
    const server = d.temp(full.length);
    d.withClient.words(d.ring, full, step.id, CLIENT_MASK, value.ring);
    d.withServer.words(d.ring, server, step.id, SERVER_MASK, value.ring);
    d.ring.xor(full, full, server);
  },

  send(p, step) {
    const value = p.value(step.out);
    const mask = p.set("mask", step.out, p.ring.alloc(elements(value)));
    p.withDealer.words(p.ring, mask, step.id, p.isServer ? SERVER_MASK : CLIENT_MASK, value.ring);
    const message = p.temp(mask.length);
    p.ring.xor(message, mask, p.get("share", step.x));
    return message;
  },

  receive(p, step, other) {
    if (other === null) return;
    const opened = p.set("public", step.out, p.ring.alloc(other.length));
    p.ring.xor(opened, p.get("mask", step.out), p.get("share", step.x));
    p.ring.xor(opened, opened, other);
  },

  clear: (c, step, out) => c.ring.copy(out, c.x(step.x)),
};

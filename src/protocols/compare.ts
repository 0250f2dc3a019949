/**
 * Sign of an opened value: [x >= 0] as a bit, from c = x + r mod 2^m (public c, secret r).
 *
 *   msb(x) = msb(c) ⊕ msb(r) ⊕ [c mod 2^(m-1) < r mod 2^(m-1)]
 *
 * The dealer shares, XOR, all monomials of each block of four bits of r: a block's "less" and "equal" are then local for
 * public c. Blocks join pairwise, (g1,p1)∘(g0,p0) = (g1 ⊕ p1·g0, p1·p0), one opening of masked bits a level. The last bit
 * opens masked and enters polynomials as the variable kind "bit". Flights: ceil(log2 of the number of blocks) + 1.
 */
import type { Program, StepOf } from "../program/steps.ts";
import { type Block, CLIENT_MASK, elements, lengthOf, type Protocol, SERVER_MASK } from "./protocol.ts";

function monomials(step: StepOf<"lessThan">, program: Program): Block[] {
  return [{ length: elements(program.values[step.x]) * Math.ceil(step.blocks / 4), bits: 64 }];
}

export const lessThan: Protocol<"lessThan"> = {
  traffic: (step, program) => ({ dealt: monomials(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(monomials(step, d.program)));
    d.ring.lessThanSecrets(secret, d.get("full", step.x), d.value(step.x).ring, step.blocks);
    d.dealBits(step, secret);
  },

  run(p, step) {
    const shares = p.dealt(step, monomials(step, p.program));
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    p.ring.lessThanLeaves(out, p.get("public", step.x), shares, p.value(step.x).ring, step.blocks, p.isServer);
  },
};

function ands(step: StepOf<"carry">, program: Program): Block[] {
  return [{ length: elements(program.values[step.x]), bits: 2 * (step.nodes >> 1) }];
}

export const carry: Protocol<"carry"> = {
  traffic: (step, program) => ({ dealt: ands(step, program) }),

  deal(d, step) {
    const secret = d.temp(lengthOf(ands(step, d.program)));
    d.ring.carrySecrets(secret, d.get("full", step.x), step.nodes);
    d.dealBits(step, secret);
  },

  run(p, step) {
    const secret = p.dealt(step, ands(step, p.program));
    const out = p.set("share", step.out, p.ring.alloc(elements(p.value(step.out))));
    p.ring.carryLevel(out, p.get("public", step.x), p.get("mask", step.x), secret, step.nodes, p.isServer);
  },
};

/** Opens XOR-shared bits under fresh XOR masks, both ways. One flight. */
export const openBits: Protocol<"openBits"> = {
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
};

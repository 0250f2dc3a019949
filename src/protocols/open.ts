/**
 * Opening a share under a fresh mask, with truncation: the only exit from sharing, beside the answer's `reveal`.
 *
 *   x = x_S + x_C mod 2^k, k = m + t. Each party drops the t low bits of its own share, the server after adding 2^t - 1:
 *   y_S = (x_S + 2^t - 1) >> t and y_C = x_C >> t are shares of y mod 2^m, and y is x / 2^t rounded down or up, up as often as the
 *   dropped part says, for every x ("truncate and reduce" on shares; protocols.md, "Truncation"). The mask r is uniform mod 2^m:
 *   x̂ = y + r, m bits on the wire.
 *
 * exchange: both send their share under their mask, m bits each way; both know x̂. One flight.
 * toServer: the client alone sends, under its mask alone; the server holds x̂ = y + r_C. One flight.
 * forward:  x is a linear step's result: the client's y_C + r_C left offline. The server adds its share and its own mask and
 *           sends m bits. One flight.
 * Where openings are checked (verify/) the client sends its part whole, c = x_C + R mod 2^k under a mask of k bits, and c >> t and R >> t take
 * the place of y_C + r_C and r_C: what is checked must be a sum of words. y is then wrong by less than two units.
 * toClient: the server sends its share, m bits, not truncated; the client adds its own and has the value. For exact integers
 *           that are the answer (a label's index).
 * reveal:   as forward, without the server's mask: the client removes its own and has the answer, truncated.
 *
 * What toClient and reveal tell goes to a helper under its owner's cover, where one plays the client (cover.ts).
 */

import { liftBits } from "../program/lift.ts";
import type { Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import type { Prg } from "../ring/prg.ts";
import { type Block, CLIENT_MASK, SERVER_MASK, SHARE } from "./blocks.ts";
import { elements, expectSameShape, NO_PARTS, type OpeningRule, outOf } from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { ClearScope, Party } from "./sides.ts";

type Open = StepOf<"open">;

/** What comes of a share in each mode, and whose share the messages wait for. */
const MODES = {
  exchange: { form: "masked", sentBy: "both" },
  forward: { form: "masked", sentBy: "server" },
  toServer: { form: "held", sentBy: "client" },
  reveal: { form: "held", sentBy: "server" },
  toClient: { form: "held", sentBy: "server" },
} as const;

function blockOf(step: Open, program: Program, bits = program.values[step.out].ring): Block {
  const { rows, columns } = program.values[step.out];
  return { length: rows * columns, bits };
}

/** Whether the client's part is sent whole: what is checked has to be a sum of words, and dropping bits before the mask makes it none. */
function isWhole(step: Open, program: Program): boolean {
  return program.shape.verified && step.shift > 0;
}

/** Bits that the client sends of each element. */
function clientBits(step: Open, program: Program): number {
  return program.values[step.out].ring + (isWhole(step, program) ? step.shift : 0);
}

/** out += a party's share of x / 2^t; `up` is the server's. */
function addShare(s: Scope, step: Open, out: Words, up: boolean): void {
  const share = s.get("share", step.x);
  const { ring: m } = s.value(step.out);
  if (step.shift === 0) return s.ring.add(out, out, share);
  const part = s.temp(share.length);
  if (up) s.ring.addConstant(part, share, ...serverUnit(step, s.program));
  s.ring.truncate(part, up ? part : share, m + step.shift, step.shift, m);
  s.ring.add(out, out, part);
}

/** What the server adds to its share before it drops bits: beside a part that is cut whole, which is wrong by less than one either way, half a unit is nearest. */
function serverUnit(step: Open, program: Program): [number, number] {
  return isWhole(step, program) ? half(step.shift) : ones(step.shift);
}

/** 2^bits - 1, as 32-bit halves. */
function ones(bits: number): [number, number] {
  return [bits < 32 ? 2 ** bits - 1 : -1, bits > 32 ? 2 ** (bits - 32) - 1 : 0];
}

/** 2^(bits - 1), as 32-bit halves. */
function half(bits: number): [number, number] {
  return bits <= 32 ? [(2 ** (bits - 1)) | 0, 0] : [0, (2 ** (bits - 33)) | 0];
}

/** The low bits of what a client sends or masks whole are dropped. */
function cut(s: Scope, step: Open, words: Words): void {
  if (isWhole(step, s.program))
    s.ring.truncate(words, words, clientBits(step, s.program), step.shift, s.value(step.out).ring);
}

/** The client's mask of its result. */
function clientMask(s: Scope, step: Open, prg: Prg): Words {
  const mask = s.ring.alloc(elements(s.value(step.out)));
  prg.words(s.ring, mask, step.id, CLIENT_MASK, clientBits(step, s.program));
  cut(s, step, mask);
  return mask;
}

/** out = what a client sends: its share, masked. */
function clientPart(s: Scope, step: Open, prg: Prg, out: Words): void {
  prg.words(s.ring, out, step.id, CLIENT_MASK, clientBits(step, s.program));
  if (isWhole(step, s.program)) s.ring.add(out, out, s.get("share", step.x));
  else addShare(s, step, out, false);
}

/** out = what the server makes of a client's part and its own share, before its mask. */
function joined(s: Scope, step: Open, out: Words): void {
  if (!isWhole(step, s.program)) return addShare(s, step, out, true);
  s.ring.add(out, out, s.get("share", step.x));
  cut(s, step, out);
}

/** A server's mask of what it sends. */
function drawMask(s: Scope, step: Open, prg: Prg, purpose: number): Words {
  const mask = s.ring.alloc(elements(s.value(step.out)));
  prg.words(s.ring, mask, step.id, purpose, s.value(step.out).ring);
  return mask;
}

export const open: OpeningRule<"open"> = {
  ...NO_PARTS,
  sentBy: (step) => MODES[step.mode].sentBy,
  reads: (step) => [step.x],

  needs(step, values, need) {
    const out = values[step.out];
    // What its own ring cannot hold would be lost, though no step reads it.
    if (step.mode === "reveal" || step.mode === "toClient") need(out.id, liftBits(out));
    need(step.x, out.ring + step.shift);
  },

  check(step, program, expect) {
    const [x, out] = [program.values[step.x], outOf(step, program)];
    expect(
      x.form === "share" && out.form === MODES[step.mode].form,
      `opens a share to a ${MODES[step.mode].form} value`,
    );
    expectSameShape(expect, x, out);
    expect(step.shift >= 0 && (step.shift === 0 || step.mode !== "toClient"), "truncates where its mode can");
  },

  traffic(step, program) {
    const block = blockOf(step, program);
    const client = blockOf(step, program, clientBits(step, program));
    if (step.mode === "toServer") return { fromClient: client };
    if (step.mode === "toClient") return { fromServer: block };
    if (step.mode === "exchange") return { fromClient: client, fromServer: block };
    return { ahead: client, fromServer: block };
  },

  deal(d, step) {
    if (step.mode === "toClient") return;
    const client = clientMask(d, step, d.withClient);
    const full = d.set("full", step.out, d.ring.alloc(client.length));
    if (step.mode !== "exchange") d.set("client", step.out, client);
    if (step.mode === "exchange" || step.mode === "forward") {
      d.withServer.words(d.ring, full, step.id, SERVER_MASK, d.value(step.out).ring);
      d.ring.add(full, full, client);
      d.ring.reduce(full, full, d.value(step.out).ring);
    } else d.ring.copy(full, client);
    if (step.mode === "exchange") d.ring.free(client);
  },

  prepare(c, step) {
    if (step.mode === "exchange" || step.mode === "toClient") return null;
    const mask = c.set("mask", step.out, clientMask(c, step, c.withDealer));
    if (step.mode === "toServer") return null;
    const ahead = c.temp(mask.length);
    clientPart(c, step, c.withDealer, ahead);
    return ahead;
  },

  send(p, step) {
    const m = p.value(step.out).ring;
    const message = p.temp(elements(p.value(step.out)));
    if (step.mode === "toClient") {
      p.ring.copy(message, p.get("share", step.x));
      return underCover(p, step, message, m);
    }
    if (step.mode === "exchange" || step.mode === "toServer") {
      const mask = p.isServer ? drawMask(p, step, p.withDealer, SERVER_MASK) : clientMask(p, step, p.withDealer);
      if (p.isServer) {
        p.ring.copy(message, mask);
        addShare(p, step, message, true);
      } else clientPart(p, step, p.withDealer, message);
      if (step.mode === "exchange" && p.value(step.out).needsMaskShares) p.set("mask", step.out, mask);
      else p.ring.free(mask);
      if (step.mode === "toServer") return message;
      const own = p.isServer ? message : p.temp(message.length);
      p.ring.copy(own, message);
      if (!p.isServer) cut(p, step, own);
      p.keepSent(step, own);
      return message;
    }
    p.material.ahead(p.ring, step, blockOf(step, p.program, clientBits(step, p.program)), message);
    joined(p, step, message);
    const opened = p.set("public", step.out, p.ring.alloc(message.length));
    if (step.mode === "forward") {
      const own = p.set("mask", step.out, drawMask(p, step, p.withDealer, SERVER_MASK));
      p.ring.add(message, message, own);
    }
    p.ring.reduce(opened, message, m);
    return step.mode === "reveal" ? underCover(p, step, opened, m) : opened;
  },

  receive(p, step, other) {
    if (other === null) return;
    const m = p.value(step.out).ring;
    const opened = () => p.set("public", step.out, p.ring.alloc(other.length));
    if (step.mode === "exchange") {
      const sum = opened();
      p.ring.copy(sum, other);
      if (p.isServer) cut(p, step, sum);
      p.ring.add(sum, p.takeSent(step), sum);
      p.ring.reduce(sum, sum, m);
    } else if (step.mode === "toServer") {
      if (!p.isServer) return;
      const sum = opened();
      p.ring.copy(sum, other);
      joined(p, step, sum);
      p.ring.reduce(sum, sum, m);
    } else if (step.mode === "toClient") {
      const sum = opened();
      p.ring.add(sum, other, p.get("share", step.x));
      p.ring.reduce(sum, sum, m);
    } else if (!p.isServer) {
      const out = opened();
      const own = clientMask(p, step, p.withDealer);
      if (step.mode === "forward") {
        p.ring.copy(out, other);
        p.set("mask", step.out, own);
      } else {
        p.ring.subtract(out, other, own);
        p.ring.reduce(out, out, m);
        p.ring.free(own);
      }
    }
  },

  clear(c, step, out) {
    if (c.rounding === null || step.shift === 0) c.ring.arithmeticShift(out, c.x(step.x), step.shift);
    else ofShares(c, step, out, c.rounding);
    const { bound } = c.value(step.out);
    c.checkRange(step, c.value(step.out), out, [-bound, bound]);
  },
};

/** out = what two parties make of x / 2^t, on shares of x and a mask that are drawn for it. */
function ofShares(c: ClearScope, step: Open, out: Words, prg: Prg): void {
  const { ring } = c;
  const drop = (words: Words) => ring.truncate(words, words, 64, step.shift, 64 - step.shift);
  const client = c.temp(out.length);
  prg.words(ring, client, step.id, SHARE);
  ring.subtract(out, c.x(step.x), client);
  ring.addConstant(out, out, ...serverUnit(step, c.program));
  drop(out);
  if (isWhole(step, c.program)) {
    const mask = c.temp(out.length);
    prg.words(ring, mask, step.id, CLIENT_MASK);
    ring.add(client, client, mask);
    drop(mask);
    ring.subtract(out, out, mask);
  }
  drop(client);
  ring.add(out, out, client);
  ring.signExtend(out, out, 64 - step.shift);
}

/** What leaves for the client alone, mod 2^bits. */
function underCover(p: Party, step: Open, words: Words, bits: number): Words {
  const cover = p.coverOf(step, words.length);
  if (cover !== null) p.ring.add(words, words, cover);
  p.ring.reduce(words, words, bits);
  return words;
}

/** The client's integers under its own mask: the server holds x + r_C. One flight, client to server. */
export const input: OpeningRule<"input"> = {
  ...NO_PARTS,
  sentBy: () => "client",
  reads: (step) => (step.after === null ? [] : [step.after]),
  needs() {},

  check(step, program, expect) {
    expect(outOf(step, program).form === "masked", "gives a masked value");
    expect(step.after === null || program.answers.includes(step.after), "waits for an answer");
  },

  traffic(step, program) {
    const value = program.values[step.out];
    return { fromClient: { length: elements(value), bits: value.ring } };
  },

  deal(d, step) {
    const value = d.value(step.out);
    const client = d.set("client", step.out, d.ring.alloc(elements(value)));
    d.withClient.words(d.ring, client, step.id, CLIENT_MASK, value.ring);
    d.ring.copy(d.set("full", step.out, d.ring.alloc(client.length)), client);
  },

  prepare(c, step) {
    const value = c.value(step.out);
    const mask = c.set("mask", step.out, c.ring.alloc(elements(value)));
    c.withDealer.words(c.ring, mask, step.id, CLIENT_MASK, value.ring);
    return null;
  },

  covered: {
    // Of what is masked the ring's bits count.
    block: (step, program) => ({ length: elements(outOf(step, program)), bits: outOf(step, program).ring }),
    fill: (input, out, step) => input.fill(out, step),
  },

  send(p, step) {
    const value = p.value(step.out);
    const mask = p.set("mask", step.out, p.ring.alloc(elements(value)));
    p.withDealer.words(p.ring, mask, step.id, CLIENT_MASK, value.ring);
    const opened = p.set("public", step.out, p.ring.alloc(mask.length));
    p.input!.fill(opened, step);
    p.ring.add(opened, opened, mask);
    p.ring.reduce(opened, opened, value.ring);
    return opened;
  },

  receive(p, step, other) {
    if (!p.isServer || other === null) return;
    const opened = p.set("public", step.out, p.ring.alloc(other.length));
    p.ring.copy(opened, other);
    const cover = p.coverOf(step, other.length);
    if (cover === null) return;
    p.ring.subtract(opened, opened, cover);
    p.ring.reduce(opened, opened, p.value(step.out).ring);
  },

  clear: (c, step, out) => c.input.fill(out, step),
};

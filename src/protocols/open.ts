/**
 * Opening a share under a fresh mask, with truncation: the only exit from sharing, beside the answer's `reveal`.
 *
 *   c = x + r mod 2^k is what crosses the wire; x̂ = (c >> t) mod 2^m is x >> t masked by r >> t, with an error of 0 or 1
 *   unit in the last place for every x, never more ("truncate and reduce"; SiRNN, eprint 2021/459, SIGMA, eprint
 *   2023/1269; protocols.md, "Truncation: never fails").
 *
 * exchange: both send their share under their mask, k bits each way; both know x̂. One flight. Where later steps need the
 *           parties' own parts of r >> t, the dealer sends the server its part (m bits).
 * toServer: the client alone sends, under its mask alone; the server holds x̂ = x + r_C. One flight.
 * forward:  x is a linear step's result: the client's x_C + r_C left offline. The server truncates, adds its own mask and
 *           sends m bits. One flight.
 * toClient: the server sends its share, m bits, not truncated; the client adds its own and has the value. For exact integers
 *           that are the answer (a label's index).
 * reveal:   as forward, without the server's mask: the client removes its own and has the answer, truncated.
 *
 * What toClient and reveal tell goes to a helper under its owner's cover, where one plays the client (cover.ts).
 */

import { liftBits } from "../program/lift.ts";
import type { Program, StepOf } from "../program/steps.ts";
import type { Words } from "../ring/memory.ts";
import {
  type Block,
  CLIENT_MASK,
  elements,
  expectSameShape,
  NO_PARTS,
  type OpeningRule,
  outOf,
  SERVER_MASK,
} from "./rule.ts";
import type { Scope } from "./scope.ts";
import type { Party } from "./sides.ts";

type Open = StepOf<"open">;

/** What comes of a share in each mode, and whose share the messages wait for. */
const MODES = {
  exchange: { form: "masked", sentBy: "both" },
  forward: { form: "masked", sentBy: "server" },
  toServer: { form: "held", sentBy: "client" },
  reveal: { form: "held", sentBy: "server" },
  toClient: { form: "held", sentBy: "server" },
} as const;

/** k: the bits that cross the wire before truncation. */
function wide(step: Open, program: Program): number {
  return program.values[step.out].ring + step.shift;
}

function blockOf(step: Open, program: Program, bits: number): Block {
  return { length: elements(program.values[step.out]), bits };
}

function needsShares(step: Open, program: Program): boolean {
  return step.mode === "exchange" && program.values[step.out].needsMaskShares;
}

function truncate(s: Scope, step: Open, a: Words): Words {
  const out = s.ring.alloc(a.length);
  const m = s.value(step.out).ring;
  s.ring.truncate(out, a, m + step.shift, step.shift, m);
  return out;
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
    const k = blockOf(step, program, wide(step, program));
    const m = blockOf(step, program, program.values[step.out].ring);
    if (step.mode === "toServer") return { fromClient: k };
    if (step.mode === "toClient") return { fromServer: k };
    if (step.mode === "exchange") {
      return { ...(needsShares(step, program) ? { dealt: [m] } : {}), fromClient: k, fromServer: k };
    }
    return { ahead: k, fromServer: m };
  },

  deal(d, step) {
    if (step.mode === "toClient") return;
    const { program, ring } = d;
    const k = wide(step, program);
    const m = d.value(step.out).ring;
    const length = elements(d.value(step.out));
    const client = d.temp(length);
    d.withClient.words(d.ring, client, step.id, CLIENT_MASK, k);
    if (step.mode === "exchange") {
      const mask = d.temp(length);
      d.withServer.words(d.ring, mask, step.id, SERVER_MASK, k);
      ring.add(mask, mask, client);
      const full = d.set("full", step.out, truncate(d, step, mask));
      if (needsShares(step, program)) {
        const secret = d.temp(length);
        ring.copy(secret, full);
        d.deal(step, secret);
      }
      return;
    }
    const truncated = d.set("client", step.out, truncate(d, step, client));
    const full = d.set("full", step.out, ring.alloc(length));
    if (step.mode === "forward") {
      d.withServer.words(d.ring, full, step.id, SERVER_MASK, m);
      ring.add(full, full, truncated);
      ring.reduce(full, full, m);
    } else ring.copy(full, truncated);
  },

  prepare(c, step) {
    const k = wide(step, c.program);
    const length = elements(c.value(step.out));
    if (step.mode === "exchange" || step.mode === "toClient") return null;
    const mask = c.temp(length);
    c.withDealer.words(c.ring, mask, step.id, CLIENT_MASK, k);
    c.set("mask", step.out, truncate(c, step, mask));
    if (step.mode === "toServer") return null;
    const ahead = c.temp(length);
    c.ring.add(ahead, mask, c.get("share", step.x));
    return ahead;
  },

  send(p, step) {
    const k = wide(step, p.program);
    const m = p.value(step.out).ring;
    const length = elements(p.value(step.out));
    const message = p.temp(length);
    if (step.mode === "toClient") {
      p.ring.copy(message, p.get("share", step.x));
      return underCover(p, step, message, k);
    }
    if (step.mode === "exchange" || step.mode === "toServer") {
      p.withDealer.words(p.ring, message, step.id, p.isServer ? SERVER_MASK : CLIENT_MASK, k);
      p.ring.add(message, message, p.get("share", step.x));
      return step.mode === "exchange" ? p.keepSent(step, message) : message;
    }
    p.material.ahead(p.ring, step, blockOf(step, p.program, k), message);
    p.ring.add(message, message, p.get("share", step.x));
    const opened = p.set("public", step.out, truncate(p, step, message));
    if (step.mode === "forward") {
      const own = p.set("mask", step.out, p.ring.alloc(length));
      p.withDealer.words(p.ring, own, step.id, SERVER_MASK, m);
      p.ring.add(opened, opened, own);
      p.ring.reduce(opened, opened, m);
    }
    return step.mode === "reveal" ? underCover(p, step, opened, m) : opened;
  },

  receive(p, step, other) {
    const k = wide(step, p.program);
    const m = p.value(step.out).ring;
    const length = elements(p.value(step.out));
    if (step.mode === "exchange" && other !== null) {
      const sum = p.takeSent(step);
      p.ring.add(sum, sum, other);
      p.set("public", step.out, truncate(p, step, sum));
      if (needsShares(step, p.program)) {
        const own = p.ring.alloc(length);
        p.ring.copy(own, p.dealt(step, [{ length, bits: m }]));
        p.set("mask", step.out, own);
      }
    } else if (step.mode === "toServer" && p.isServer && other !== null) {
      const sum = p.temp(length);
      p.ring.add(sum, other, p.get("share", step.x));
      p.set("public", step.out, truncate(p, step, sum));
    } else if (step.mode === "toClient" && other !== null) {
      const sum = p.set("public", step.out, p.ring.alloc(length));
      p.ring.add(sum, other, p.get("share", step.x));
      p.ring.reduce(sum, sum, m);
    } else if (!p.isServer && other !== null) {
      const mask = p.temp(length);
      p.withDealer.words(p.ring, mask, step.id, CLIENT_MASK, k);
      const own = truncate(p, step, mask);
      const opened = p.set("public", step.out, p.ring.alloc(length));
      if (step.mode === "forward") {
        p.ring.copy(opened, other);
        p.set("mask", step.out, own);
      } else {
        p.ring.subtract(opened, other, own);
        p.ring.reduce(opened, opened, m);
        p.ring.free(own);
      }
    }
  },

  clear(c, step, out) {
    c.ring.arithmeticShift(out, c.x(step.x), step.shift);
    const { bound } = c.value(step.out);
    c.checkRange(step, c.value(step.out), out, [-bound, bound]);
  },
};

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

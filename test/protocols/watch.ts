/** What tests see of a run from inside: every draw of the generator, and what a party holds after each opening. */
import { WeightMasks } from "../../src/parties/weights.ts";
import type { Step } from "../../src/program/steps.ts";
import { ALPHA, CLIENT_MASK, SAMPLE, SERVER_MASK } from "../../src/protocols/blocks.ts";
import { openBits } from "../../src/protocols/compare.ts";
import { blockBytes } from "../../src/protocols/cost.ts";
import { input, open } from "../../src/protocols/open.ts";
import type { OpeningRule } from "../../src/protocols/rule.ts";
import { elements } from "../../src/protocols/rule.ts";
import type { Party } from "../../src/protocols/sides.ts";
import type { Words } from "../../src/ring/memory.ts";
import { Prg } from "../../src/ring/prg.ts";

/** Puts something around a method until the returned function is called. */
export function around<T extends object, K extends keyof T>(
  target: T,
  name: K,
  wrap: (original: T[K]) => T[K],
): () => void {
  const original = target[name];
  target[name] = wrap(original);
  return () => {
    target[name] = original;
  };
}

/** Words of a draw that make its fingerprint: their low bytes, which no narrower ring changes. */
const FINGERPRINT_WORDS = 16;

/**
 * Every keystream that was drawn, and what for. Dealer and party draw the same one for the same purpose in one session; one
 * that is met again in another session, step or purpose hides nothing any more. Draws of few or narrow words are not told
 * apart and left out. R of a weight may return as long as the weights stay: one generation.
 */
export class DrawLedger {
  readonly conflicts = new Set<string>();
  /** What the server checks clients with. */
  readonly alphas = new Set<string>();
  session = 0;
  generation = 0;
  private readonly purposes = new Map<string, string>();
  private operand: number | null = null;

  /** Writes down all draws until the returned function is called. */
  watch(): () => void {
    const ledger = this;
    const undo = [
      around(
        Prg.prototype,
        "words",
        (original) =>
          function (this: Prg, ring, out, stream, purpose, bits = 64) {
            original.call(this, ring, out, stream, purpose, bits);
            if (purpose === SAMPLE || (purpose === ALPHA && bits === 64)) ledger.noteWord(out, stream, purpose);
            else if (bits >= 8 && out.length >= FINGERPRINT_WORDS) ledger.note(out, stream, purpose);
          },
      ),
      around(
        WeightMasks.prototype,
        "chunk",
        (original) =>
          function (this: WeightMasks, weightId, first, use) {
            ledger.operand = weightId;
            try {
              original.call(this, weightId, first, use);
            } finally {
              ledger.operand = null;
            }
          },
      ),
    ];
    return () => {
      for (const f of undo) f();
    };
  }

  /** A single word, of which all bits count. */
  private noteWord(words: Words, stream: number, purpose: number): void {
    const fingerprint = Buffer.from(words.bytes()).toString("hex");
    if (purpose === ALPHA) this.alphas.add(fingerprint);
    this.notePurpose(fingerprint, stream, purpose);
  }

  private note(words: Words, stream: number, purpose: number): void {
    const bytes = words.bytes();
    const low = Uint8Array.from({ length: FINGERPRINT_WORDS }, (_, i) => bytes[8 * i]);
    this.notePurpose(Buffer.from(low).toString("hex"), stream, purpose);
  }

  private notePurpose(fingerprint: string, stream: number, purpose: number): void {
    const mine =
      this.operand === null
        ? `session ${this.session}, step ${stream}, purpose ${purpose}`
        : `R of operand ${this.operand}, part ${purpose}, weights ${this.generation}`;
    const known = this.purposes.get(fingerprint) ?? mine;
    if (known !== mine) this.conflicts.add(`drawn for ${known} and for ${mine}`);
    this.purposes.set(fingerprint, known);
  }
}

/** Who holds what after an opening, less its own mask: only the other's mask hides it. */
export type SeeRest = (name: string, packed: Uint8Array) => void;

/** Calls `see` after every opening at either party, until the returned function is called. Answers are left out. */
export function watchOpenings(see: SeeRest): () => void {
  const undo = [watchOne(open, see), watchOne(openBits, see), watchOne(input, see)];
  return () => {
    for (const f of undo) f();
  };
}

function watchOne<K extends "open" | "openBits" | "input">(rule: OpeningRule<K>, see: SeeRest): () => void {
  return around(rule, "receive", (original) => (p, step, other) => {
    original?.(p, step, other);
    const any: Step = step;
    const packed = restOf(p, any);
    if (packed !== null) see(`${any.kind} ${any.id}, seen by ${p.role}`, packed);
  });
}

function restOf(p: Party, step: Step): Uint8Array | null {
  const answers = step.kind === "open" && (step.mode === "reveal" || step.mode === "toClient");
  if (!p.has("public", step.out) || (!p.isServer && (answers || step.kind === "input"))) return null;
  const { ring, ...value } = p.value(step.out);
  const length = value.rows * value.columns;
  const rest = p.temp(length);
  p.ring.copy(rest, p.get("public", step.out));
  const own = ownMask(p, step);
  if (own !== null && step.kind === "openBits") p.ring.xor(rest, rest, own);
  else if (own !== null) p.ring.subtract(rest, rest, own);
  p.ring.reduce(rest, rest, ring);
  const packed = new Uint8Array(blockBytes({ length, bits: ring }));
  p.ring.packBits(packed, rest, ring);
  return packed;
}

/** This party's own part of what masks an opened value. */
function ownMask(p: Party, step: Step): Words | null {
  if (step.kind !== "open" || step.mode !== "exchange") return p.has("mask", step.out) ? p.get("mask", step.out) : null;
  const mask = p.temp(elements(p.value(step.out)));
  p.withDealer.words(p.ring, mask, step.id, p.isServer ? SERVER_MASK : CLIENT_MASK, p.value(step.out).ring);
  return mask;
}

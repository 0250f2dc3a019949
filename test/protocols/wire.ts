/**
 * The table of docs/protocols.md, and what a run's messages are by it. Nothing here asks a protocol what it declares, but for the
 * list of a polynomial's secret monomials, and which words of a checked run have keys.
 */
import { readFileSync } from "node:fs";
import type { Program, Step } from "../../src/program/steps.ts";
import type { Block } from "../../src/protocols/blocks.ts";
import { blockBytes } from "../../src/protocols/cost.ts";
import { basis } from "../../src/protocols/polynomial.ts";
import { elements } from "../../src/protocols/rule.ts";
import { checkable, keyedWords } from "../../src/protocols/verify/sampling.ts";
import { clientWords, keyBlocks } from "../../src/protocols/verify/words.ts";
import type { Frame } from "../parties/tapped.ts";

/** One row: a kind of message. */
export interface Row {
  readonly kind: string;
  readonly phase: string;
  /** "client to server" and so on. */
  readonly way: string;
  readonly bits: string;
}

/** A control message, by who says it and its fields. */
interface ControlRow {
  readonly way: string;
  readonly fields: string;
}

export interface WireTable {
  readonly rows: readonly Row[];
  readonly control: readonly ControlRow[];
  /** Kinds of steps that send nothing. */
  readonly silent: readonly string[];
}

const MANUAL = new URL("../../docs/protocols.md", import.meta.url);

/** Reads the manual. @throws Error for a row that this file cannot read: the table is checked, not trusted. */
export function wireTable(text = readFileSync(MANUAL, "utf8")): WireTable {
  const section = text.split(/^## /m).find((s) => s.startsWith("Everything that crosses a wire"));
  if (section === undefined) throw new Error("docs/protocols.md has no section of what crosses a wire");
  const tables = section
    .split("\n\n")
    .filter((block) => block.startsWith("|"))
    .map((block) => block.split("\n").slice(2).map(cells));
  const rows = tables[0].map(([kind, phase, way, , bits]) => ({ kind: bare(kind), phase, way, bits: bare(bits) }));
  for (const { bits } of rows)
    if (!(bits in RULES)) throw new Error(`docs/protocols.md: no rule for the bits "${bits}"`);
  const control = tables[1].map(([, way, fields]) => ({ way, fields: sorted(fields.split(", ").map(bare)) }));
  const silent = /Steps that send nothing[^:]*: ([^.]*)\./.exec(section)?.[1].split(",").map(bare) ?? [];
  return { rows, control, silent };
}

const cells = (line: string) =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
const bare = (cell: string) => cell.trim().replaceAll("`", "");
const sorted = (fields: readonly string[]) => [...fields].sort().join(" ");

type Rule = (step: Step, program: Program) => readonly Block[];
const ringOf = (step: Step, program: Program) => program.values[step.out].ring;
const sizeOf = (step: Step, program: Program) => elements(program.values[step.out]);
const native: Rule = (step, program) => [{ length: sizeOf(step, program), bits: ringOf(step, program) }];
const onlyFor =
  <K extends Step["kind"]>(kind: K, rule: (step: Extract<Step, { kind: K }>, p: Program) => Block[]): Rule =>
  (step, program) => {
    if (step.kind !== kind) throw new Error(`the rule of ${kind} is no rule of ${step.kind}`);
    return rule(step as Extract<Step, { kind: K }>, program);
  };

/** How many elements of how many bits a row's message has: what its cell "bits" means. */
const RULES: Readonly<Record<string, Rule>> = {
  m: native,
  "m, or m + t where it is checked": onlyFor("open", (step, program) =>
    native(step, program).map(({ length, bits }) => ({
      length,
      bits: bits + (program.shape.verified ? step.shift : 0),
    })),
  ),
  "b + 28, or 28 a bit": (step, program) =>
    clientWords(step, program)
      .filter(({ purpose }) => keyed(program).get(step.id)?.has(purpose))
      .flatMap(keyBlocks),
  "m if there are weights": onlyFor("linear", (step, program) =>
    step.terms.some((t) => t.weight.kind !== "identity") ? [...native(step, program)] : [],
  ),
  "m less the shift, if there are products": onlyFor("relative", (step, program) =>
    step.terms.length > 0 ? [{ length: sizeOf(step, program), bits: ringOf(step, program) - step.shift }] : [],
  ),
  "m less an operand's bits for each β, a monomial; of summed rows' last power one a row": onlyFor(
    "polynomial",
    (step, program) => {
      const size = Math.max(
        ...[...step.variables, ...step.addends].map((v) => elements(program.values[v.x]) * v.repeat),
      );
      const last = Math.max(...step.monomials.map((m) => m.degrees[0]));
      return basis(step, program).map(({ powers, tops, repeat }) => {
        const lost = step.variables.map((v, i) => (v.kind === "bit" ? 0 : tops[i] * program.values[v.x].ring));
        const summed = step.rowSum && step.variables.length === 1 && tops[0] === 0 && powers[0] === last;
        const length = summed ? sizeOf(step, program) : size / repeat;
        return { length, bits: lost.reduce((bits, l) => bits - l, ringOf(step, program)) };
      });
    },
  ),
  "m, two a harmonic": onlyFor("fourier", (step, program) => [
    { length: 2 * step.cosines.length * sizeOf(step, program), bits: ringOf(step, program) },
  ]),
  "m, a coefficient of each row": onlyFor("spline", (step, program) => {
    const coefficients = (step.degree + 1) * 2 ** step.intervalBits * (step.factor === null ? 1 : 2);
    return [{ length: coefficients * sizeOf(step, program), bits: ringOf(step, program) }];
  }),
  "a lane of 8 or 16 a place of each value": onlyFor("counts", (step, program) => {
    const { rows, columns } = program.values[step.x];
    const lane = columns < 256 ? 8 : 16;
    return [{ length: (rows * columns * 2 ** (step.bits - step.unitBits) * lane) / 64, bits: 64 }];
  }),
  "2^w, at least 64": onlyFor("nonzero", (step, program) => [
    { length: sizeOf(step, program) * Math.max(1, 2 ** step.bits / 64), bits: 64 },
  ]),
  "64, one for four blocks": onlyFor("lessThan", (step, program) => [
    { length: elements(program.values[step.x]) * Math.ceil(step.blocks / 4), bits: 64 },
  ]),
  "two a pair of nodes": onlyFor("carry", (step, program) => [
    { length: elements(program.values[step.x]), bits: 2 * Math.floor(step.nodes / 2) },
  ]),
  // Of no step: `setupMessage` has their sizes.
  "64": () => [],
  "32": () => [],
};

const keyedBy = new WeakMap<Program, ReturnType<typeof keyedWords>>();

/** Words of a program with keys: of one that is checked, all that its openings are made of. */
function keyed(program: Program): ReturnType<typeof keyedWords> {
  const words = keyedBy.get(program) ?? (program.shape.verified ? keyedWords(program, checkable(program)) : new Map());
  keyedBy.set(program, words);
  return words;
}

export function kindOf(step: Step): string {
  return step.kind === "open" ? `open ${step.mode}` : step.kind;
}

/** The row of what a step's checked words add to its message. */
export const KEYS = "keys";

/** What a row says that a step sends; empty where the row is not of its kind. */
export function blocksOf(row: Row, step: Step, program: Program): readonly Block[] {
  return row.kind === kindOf(step) || row.kind === KEYS ? RULES[row.bits](step, program) : [];
}

const bytes = (blocks: readonly Block[]) => blocks.reduce((sum, b) => sum + blockBytes(b), 0);
export const wayOf = ({ from, to }: Frame) => `${from} to ${to}`;

/** What one session's messages are by the table: those that have no row or another size, and the rows that occurred. */
export interface Account {
  readonly faults: readonly string[];
  readonly used: ReadonlySet<Row | ControlRow>;
}

/** Holds one session's frames against the table, message by message, and the table's rows against the frames. */
export function account(frames: readonly Frame[], program: Program, table: WireTable): Account {
  const faults: string[] = [];
  const used = new Set<Row | ControlRow>();
  const due = dueMessages(program, table);
  for (const frame of frames) {
    if (frame.phase === "control") {
      const row = table.control.find((r) => r.way === wayOf(frame) && r.fields === fieldsOf(frame));
      const proof = fieldsOf(frame) === PROOF && frame.payload.length !== proofBytes(program);
      if (proof) faults.push(`control, ${wayOf(frame)}: ${frame.payload.length} bytes of ${PROOF}`);
      if (row === undefined) faults.push(`control, ${wayOf(frame)}: ${fieldsOf(frame)}`);
      else used.add(row);
      continue;
    }
    const key = `${frame.phase} ${frame.step}, ${wayOf(frame)}`;
    const message = frame.phase === "setup" ? setupMessage(frame, program, table) : due.get(key);
    if (message === undefined) faults.push(`${key}: ${frame.payload.length} bytes that the table has no row for`);
    else if (message.size !== frame.payload.length)
      faults.push(`${key}: ${frame.payload.length} bytes, the table says ${message.size}`);
    for (const row of message?.rows ?? []) used.add(row);
    due.delete(key);
  }
  for (const key of due.keys()) faults.push(`${key}: never sent`);
  return { faults, used };
}

interface Message {
  readonly rows: readonly Row[];
  readonly size: number;
}

/** What a run must send, by phase, step (or flight) and way; a message that came is taken out. */
function dueMessages(program: Program, { rows }: WireTable): Map<string, Message> {
  const due = new Map<string, Message>();
  const put = (phase: string, number: number, steps: readonly Step[]) => {
    for (const way of new Set(rows.map((r) => r.way))) {
      const sent = rows
        .filter((row) => row.phase === phase && row.way === way)
        .flatMap((row) => steps.map((step) => ({ row, size: bytes(blocksOf(row, step, program)) })))
        .filter(({ size }) => size > 0);
      const size = sent.reduce((sum, s) => sum + s.size, 0);
      if (size > 0) due.set(`${phase} ${number}, ${way}`, { rows: sent.map((s) => s.row), size });
    }
  };
  for (const step of program.steps) put("offline", step.id, [step]);
  program.flights.forEach(({ opens }, flight) => {
    put(
      "online",
      flight,
      opens.map((id) => program.steps[id]),
    );
  });
  return due;
}

/** A model's operand, or a table: as often as they are asked for. */
function setupMessage(frame: Frame, program: Program, { rows }: WireTable): Message | undefined {
  const found = rows.filter((row) => row.phase === "setup" && row.way === wayOf(frame));
  const slot = program.weights[frame.step];
  if (found.length === 0) return undefined;
  const size = found[0].kind === "weights" ? slot.rows * slot.columns * 8 : frame.payload.length;
  return { rows: found, size };
}

/** One step's block in a message, with a name that is the same in every session. */
export interface Part {
  readonly row: Row;
  readonly name: string;
  readonly block: Block;
  readonly bytes: Uint8Array;
}

/** A message cut into what its steps sent, as the table has it. */
export function partsOf(frame: Frame, program: Program, { rows }: WireTable): Part[] {
  const ids = frame.phase === "online" ? (program.flights[frame.step]?.opens ?? []) : [frame.step];
  // What pads the dealing of a part is of no step.
  if (frame.phase === "offline" && frame.step === program.steps.length) return [];
  const mine = rows.filter((row) => row.phase === frame.phase && row.way === wayOf(frame));
  const parts: Part[] = [];
  let at = 0;
  for (const id of ids) {
    for (const row of mine) {
      blocksOf(row, program.steps[id], program).forEach((block, i) => {
        const name = `${row.kind} ${id}, ${row.phase}, ${row.way}, block ${i}`;
        // Of a part, keys of some words alone.
        if (at + blockBytes(block) > frame.payload.length) return;
        parts.push({ row, name, block, bytes: frame.payload.subarray(at, at + blockBytes(block)) });
        at += blockBytes(block);
      });
    }
  }
  return parts;
}

/** The one control message that is no JSON: a client's answer to a challenge. */
export const PROOF = "Z and T";

/** Of 32 sums of 64 + 28 bits, and as many of tags; of bits, 64 sums and 28 times as many of tags. */
function proofBytes(program: Program): number {
  const bits = program.steps.some(({ kind }) => kind === "openBits") ? 29 * 64 : 0;
  return (32 * (2 * (64 + 28) + bits)) / 8;
}

/**
 * What of an answer to a challenge is uniform: of Z and of T, each 32 words of 64 bits and then of 28, the upper bytes of the former, whose
 * lowest bits are zero where no opening has 64, and the latter. Words of bits are as few as are compared.
 */
export function uniformOf({ payload }: Frame): Uint8Array {
  const [low, all] = [32 * 8, 32 * 8 + (32 * 28) / 8];
  return payload.filter((_, i) => i < 2 * all && (i % all >= low || (i % all) % 8 === 7));
}

/** A control message's fields, by name. */
export function fieldsOf(frame: Frame): string {
  return isProof(frame) ? PROOF : sorted(Object.keys(fieldsIn(frame)));
}

export function isProof({ phase, payload }: Frame): boolean {
  return phase === "control" && payload[0] !== "{".charCodeAt(0);
}

export function fieldsIn(frame: Frame): Record<string, unknown> {
  return isProof(frame) ? {} : (JSON.parse(new TextDecoder().decode(frame.payload)) as Record<string, unknown>);
}

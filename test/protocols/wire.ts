/**
 * The table of docs/protocols.md, and what a run's messages are by it. Nothing here asks a protocol what it declares, but for the
 * list of a polynomial's secret monomials.
 */
import { readFileSync } from "node:fs";
import type { Program, Step } from "../../src/program/steps.ts";
import { blockBytes } from "../../src/protocols/cost.ts";
import { basis } from "../../src/protocols/polynomial.ts";
import { type Block, elements } from "../../src/protocols/rule.ts";
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

export function kindOf(step: Step): string {
  return step.kind === "open" ? `open ${step.mode}` : step.kind;
}

/** What a row says that a step sends; empty where the row is not of its kind. */
export function blocksOf(row: Row, step: Step, program: Program): readonly Block[] {
  return row.kind === kindOf(step) ? RULES[row.bits](step, program) : [];
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
  const mine = rows.filter((row) => row.phase === frame.phase && row.way === wayOf(frame));
  const parts: Part[] = [];
  let at = 0;
  for (const id of ids) {
    for (const row of mine) {
      blocksOf(row, program.steps[id], program).forEach((block, i) => {
        const name = `${row.kind} ${id}, ${row.phase}, ${row.way}, block ${i}`;
        parts.push({ row, name, block, bytes: frame.payload.subarray(at, at + blockBytes(block)) });
        at += blockBytes(block);
      });
    }
  }
  return parts;
}

/** A control message's fields, by name. */
export function fieldsOf(frame: Frame): string {
  return sorted(Object.keys(fieldsIn(frame)));
}

export function fieldsIn(frame: Frame): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(frame.payload)) as Record<string, unknown>;
}

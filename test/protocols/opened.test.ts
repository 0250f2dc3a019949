/** What the wires of real runs open, against the table of docs/protocols.md, both ways; and what the protocols declare. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { LentCovers } from "../../src/parties/lent-covers.ts";
import { fingerprint } from "../../src/parties/messages.ts";
import { TextInput } from "../../src/parties/text.ts";
import { isDecoder } from "../../src/program/spec.ts";
import type { Program } from "../../src/program/steps.ts";
import { STEP_KINDS, trafficOf } from "../../src/protocols/all.ts";
import type { Block } from "../../src/protocols/blocks.ts";
import { Prg, randomKey } from "../../src/ring/prg.ts";
import { FileStore } from "../../src/stores/file-store.ts";
import { type Harness, harness } from "../parties/harness.ts";
import { tapped } from "../parties/tapped.ts";
import { FAMILIES } from "./families.ts";
import { type Account, account, blocksOf, KEYS, kindOf, wireTable } from "./wire.ts";

const table = wireTable();
const seen: Account[] = [];
const programs: Program[] = [];
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "opened-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** One run over tapped wires, with material made ahead or at once. */
async function session(h: Harness, prepare: boolean): Promise<Account> {
  const store = (side: string) => new FileStore(join(dir, `${side}${programs.length}`));
  const world = await tapped(h, { stores: { client: store("client"), server: store("server") } });
  const client = await world.connect();
  const { turns, temperature, carried } = h.program.shape;
  if (prepare) await client.prepare(h.program.shape);
  // Of a model that fills masked words, the word that is asked for.
  const tokens = h.program.shape.length > 8 ? 11 : 6;
  const text = { ...randomText(h.spec, tokens, 3), place: 4 };
  if (isDecoder(h.spec)) for await (const _ of client.generate(text, { maxTokens: turns, temperature }));
  else if (carried) {
    // As a helper runs it. Under whatever covers, messages are the same.
    vi.spyOn(LentCovers.prototype, "take").mockImplementation(() => new Prg(randomKey()));
    const input = new TextInput(h.ring, h.program, h.spec, text, null);
    await client.carry(h.program.shape, await fingerprint(h.program), async () => ({ input, answer: async () => {} }));
    vi.restoreAllMocks();
  } else await client.infer(text);
  await client.close();
  return account(world.frames, h.program, table);
}

describe("every message on the wire has its row", () => {
  for (const [i, { name, spec, shape }] of FAMILIES.entries()) {
    it(name, async () => {
      const h = await harness(spec, shape);
      programs.push(h.program);
      const result = await session(h, i === 0);
      expect(result.faults).toEqual([]);
      seen.push(result);
    });
  }
});

it("every row of the tables is sent", () => {
  const used = new Set(seen.flatMap((a) => [...a.used]));
  expect(table.rows.filter((row) => !used.has(row))).toEqual([]);
  expect(table.control.filter((row) => !used.has(row))).toEqual([]);
});

it("the families have every kind of step that there is and that the manual names, and no other", () => {
  expect(new Set(programs.flatMap((p) => p.steps.map((s) => s.kind)))).toEqual(new Set(STEP_KINDS));
  const kinds = new Set(programs.flatMap((p) => p.steps.map(kindOf)));
  const steps = table.rows.filter((row) => row.phase !== "setup" && row.kind !== KEYS);
  expect([...kinds].sort()).toEqual([...new Set([...steps.map((row) => row.kind), ...table.silent])].sort());
});

it("what each protocol declares is what the table says, block by block", () => {
  const declared = (step: Program["steps"][number], program: Program) => {
    const { dealt, ahead, fromClient, fromServer } = trafficOf(step, program);
    const one = (block?: Block) => (block === undefined ? [] : [block]);
    return {
      "offline dealer to server": dealt ?? [],
      "offline client to server": one(ahead),
      "online client to server": one(fromClient),
      "online server to client": one(fromServer),
    };
  };
  const bare = ({ length, bits }: Block) => ({ length, bits });
  for (const program of programs) {
    for (const step of program.steps) {
      for (const [way, blocks] of Object.entries(declared(step, program))) {
        const rows = table.rows.filter((row) => `${row.phase} ${row.way}` === way && row.kind !== KEYS);
        const said = rows.flatMap((row) => blocksOf(row, step, program));
        expect(said.map(bare), `${kindOf(step)} ${way}`).toEqual(blocks.map(bare));
      }
    }
  }
});

it("a table with a row too many, a row too few, or another width is refused", async () => {
  const [{ spec, shape }] = FAMILIES;
  const h = await harness(spec, shape);
  const world = await tapped(h);
  const client = await world.connect();
  await client.infer(randomText(h.spec, 11, 3));
  await client.close();
  const faultsBy = (rows: typeof table.rows) => account(world.frames, h.program, { ...table, rows }).faults;
  const isForward = (row: { kind: string; phase: string }) => row.kind === "open forward" && row.phase === "online";
  expect(faultsBy(table.rows)).toEqual([]);
  expect(faultsBy(table.rows.filter((row) => !isForward(row)))).not.toEqual([]);
  expect(faultsBy([...table.rows, { ...table.rows[0], way: "server to client" }])).not.toEqual([]);
  expect(faultsBy(table.rows.map((row) => (isForward(row) ? { ...row, bits: "32" } : row)))).not.toEqual([]);
});

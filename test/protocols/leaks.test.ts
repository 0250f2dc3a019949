/**
 * Planted leaks: one fault each, put around the product from here, and the check that must find it. The same checks run on the
 * healthy system first and find nothing.
 */

import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Channel } from "../../src/channels/channel.ts";
import { randomText } from "../../src/models/catalog.ts";
import { Client } from "../../src/parties/client.ts";
import { TextInput } from "../../src/parties/text.ts";
import { WeightMasks } from "../../src/parties/weights.ts";
import type { Step, ValueId } from "../../src/program/steps.ts";
import { CLIENT_MASK, SERVER_MASK, SHARE } from "../../src/protocols/blocks.ts";
import { open } from "../../src/protocols/open.ts";
import { hex } from "../../src/ring/hex.ts";
import { Prg, randomKey } from "../../src/ring/prg.ts";
import { Secret } from "../../src/ring/secret.ts";
import { FileStore } from "../../src/stores/file-store.ts";
import { Ledger } from "../../src/stores/ledger.ts";
import { type Harness, harness } from "../parties/harness.ts";
import { collect } from "./collect.ts";
import { CHECKS, type Evidence, gather } from "./evidence.ts";
import { deviations, Z } from "./statistics.ts";

const LENGTH = 16;
/** One padded length, and no two lengths alike within it. */
const TOKENS = [11, 14];
const SESSIONS = 3;

let h: Harness;
let retrained: Harness;
let dir: string;

beforeAll(async () => {
  const spec = { gelu: "exact", softmax: "2quad:5", layers: 1 } as const;
  h = await harness(spec, LENGTH);
  // A step of training: every weight a little different, and the plan as it was.
  retrained = await harness(
    spec,
    LENGTH,
    undefined,
    () => h.plan,
    (_name, data) => data.map((x) => x + 2 ** -9),
  );
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "leaks-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(dir, { recursive: true, force: true });
});

const texts = () => TOKENS.map((tokens, i) => randomText(h.spec, tokens, 3 + i));

/** Material as it is needed. */
const atOnce = () => gather(h, { texts: texts(), sessions: SESSIONS });

/** Material made ahead and kept on disk. */
function fromStore(): Promise<Evidence> {
  const stores = { client: new FileStore(join(dir, "client")), server: new FileStore(join(dir, "server")) };
  return gather(h, { texts: texts(), sessions: SESSIONS, stores });
}

/** Two versions of a model's weights, served one after the other under one name and key. */
function twoVersions(): Promise<Evidence> {
  const identity = { id: hex(randomKey()), key: new Secret(randomKey()) };
  return gather(h, { texts: texts(), sessions: 1, identity, versions: [h, retrained] });
}

/** R from a key that does not know the weights. */
function plantOneR(): void {
  const [key, create] = [new Secret(randomKey()), WeightMasks.create];
  vi.spyOn(WeightMasks, "create").mockImplementation((ring, program) => create.call(WeightMasks, ring, program, key));
}

/** Replaces what is drawn for some addresses: from another one, from fewer bits, or by nothing (null: zeros). */
type Address = { readonly stream: number; readonly purpose: number; readonly bits: number };

function plantDraws(change: (address: Address) => Address | null): void {
  const original = Prg.prototype.words;
  vi.spyOn(Prg.prototype, "words").mockImplementation(function (this: Prg, ring, out, stream, purpose, bits = 64) {
    const planted = change({ stream, purpose, bits });
    if (planted === null) ring.zero(out);
    else original.call(this, ring, out, planted.stream, planted.purpose, planted.bits);
  });
}

/** Stream 0 is the weights' R; steps count from there, the first being an input. */
const isMask = ({ stream, purpose }: Address) => stream > 0 && (purpose === CLIENT_MASK || purpose === SERVER_MASK);
const stepsOf = (wanted: (step: Step) => boolean) => h.program.steps.filter(wanted).map((s) => s.id);
/** The opening that a value comes from. */
const openingOf = (steps: readonly Step[], id: ValueId): number => {
  const step = steps.find((s) => s.out === id)!;
  return step.kind === "shift" ? openingOf(steps, step.x) : step.id;
};
const opensIn = (mode: string) => stepsOf((s) => s.kind === "open" && s.mode === mode);

/** Keys are drawn anew for the model's name and R, then for each session: a seed and a nonce of the client's, and of the server's. */
const KEYS_BEFORE = 2;
const KEYS_PER_SESSION = 4;

function plantKeys(change: (key: Uint8Array, drawn: number) => void): void {
  const original = crypto.getRandomValues.bind(crypto);
  let drawn = 0;
  vi.spyOn(crypto, "getRandomValues").mockImplementation((array) => {
    original(array);
    if (array instanceof Uint8Array) change(array, drawn++);
    return array;
  });
}

interface Leak {
  readonly name: string;
  readonly caught: keyof typeof CHECKS;
  /** What is found: the fault itself, not what it breaks besides. */
  readonly shows: RegExp;
  readonly plant: () => void;
  readonly run?: () => Promise<Evidence>;
}

const LEAKS: readonly Leak[] = [
  {
    name: "seeds that come again in the next session",
    caught: "ledger",
    shows: /session (\d+), step (\d+), purpose 0 and for session (?!\1,)\d+, step \2, purpose 0/,
    plant: () => {
      const first: Uint8Array[] = [];
      plantKeys((key, drawn) => {
        const place = (drawn - KEYS_BEFORE) % KEYS_PER_SESSION;
        if (drawn < KEYS_BEFORE || place % 2 === 1) return;
        first[place] ??= key.slice();
        key.set(first[place]);
      });
    },
  },
  {
    name: "the same, seen in what is sent alone",
    caught: "uniform",
    shows: /seen by server, differences/,
    plant: () => {
      const kept = new Prg(new Uint8Array(16));
      const original = Prg.prototype.words;
      vi.spyOn(Prg.prototype, "words").mockImplementation(function (this: Prg, ring, out, stream, purpose, bits = 64) {
        original.call(isMask({ stream, purpose, bits }) ? kept : this, ring, out, stream, purpose, bits);
      });
    },
  },
  {
    name: "keys from the decimals of Math.random",
    caught: "uniform",
    shows: /^keys: /,
    plant: () => plantKeys((key) => key.set(key.map(() => 48 + Math.floor(10 * Math.random())))),
  },
  {
    name: "a generator that counts",
    caught: "uniform",
    shows: /^text 0, input 0, seen by server: /,
    plant: () => {
      vi.spyOn(Prg.prototype, "words").mockImplementation((ring, out, stream, purpose, bits = 64) => {
        const words = new BigUint64Array(out.bytes().buffer, out.pointer, out.length);
        for (let i = 0; i < words.length; i++) words[i] = BigInt((stream << 20) + purpose + 8 * i);
        ring.reduce(out, out, bits);
      });
    },
  },
  {
    name: "masks that are zero",
    caught: "uniform",
    shows: /^text 0, input 1, online, client to server/m,
    plant: () => plantDraws((a) => (isMask(a) ? null : a)),
  },
  {
    name: "masks four bits short",
    caught: "uniform",
    shows: /^text 0, open \d+, seen by client: /m,
    plant: () => plantDraws((a) => (isMask(a) && a.bits > 8 ? { ...a, bits: a.bits - 4 } : a)),
  },
  {
    name: "products opened without the server's fresh mask",
    caught: "uniform",
    shows: /^(text \d, open \d+, seen by client(, differences)?: [\d.]+ standard deviations\n?)+$/,
    plant: () => {
      const bare = new Set(opensIn("exchange"));
      plantDraws((a) => (bare.has(a.stream) && a.purpose === SERVER_MASK ? null : a));
    },
  },
  {
    name: "linear results sent on without the server's own mask",
    caught: "uniform",
    shows: /^(text \d, open \d+, seen by client(, differences)?: [\d.]+ standard deviations\n?)+$/,
    plant: () => {
      const bare = new Set(opensIn("forward"));
      plantDraws((a) => (bare.has(a.stream) && a.purpose === SERVER_MASK ? null : a));
    },
  },
  {
    name: "one triple's share dealt to two products",
    caught: "ledger",
    shows: /session 1, step (\d+), purpose 2 and for session 1, step (?!\1)\d+, purpose 2/,
    plant: () => {
      const [first, second] = stepsOf((s) => s.kind === "matmul");
      plantDraws((a) => (a.stream === second && a.purpose === SHARE ? { ...a, stream: first } : a));
    },
  },
  {
    name: "a spline's table dealt without the client's shares",
    caught: "uniform",
    shows: /^text 0, spline \d+, offline, dealer to server, block 0: /m,
    plant: () => {
      const splines = new Set(stepsOf((s) => s.kind === "spline"));
      plantDraws((a) => (splines.has(a.stream) && a.purpose === SHARE ? null : a));
    },
  },
  {
    name: "one mask for two openings",
    caught: "ledger",
    shows: /session 1, step (\d+), purpose 0 and for session 1, step (?!\1)\d+, purpose 0/,
    plant: () => {
      const [first, second] = opensIn("exchange");
      plantDraws((a) => (a.stream === second && isMask(a) ? { ...a, stream: first } : a));
    },
  },
  {
    name: "a second opening for debugging",
    caught: "table",
    shows: /^online 3, .*: 8 bytes that the table has no row for/m,
    plant: () => {
      const original = Channel.prototype.send;
      vi.spyOn(Channel.prototype, "send").mockImplementation(async function (this: Channel, phase, step, parts) {
        await original.call(this, phase, step, parts);
        if (phase === "online" && step === 3) await original.call(this, phase, step, [new Uint8Array(8)]);
      });
    },
  },
  {
    name: "the number of tokens in a request",
    caught: "table",
    shows: /^control, client to server: request texts tokens$/m,
    plant: () => {
      const original = Channel.prototype.sendJson;
      vi.spyOn(Channel.prototype, "sendJson").mockImplementation(function (this: Channel, step, value) {
        const isRun = typeof value === "object" && value !== null && "texts" in value;
        return original.call(this, step, isRun ? { ...value, tokens: TOKENS[0] } : value);
      });
    },
  },
  {
    name: "an answer opened to the server too",
    caught: "table",
    shows: /^online \d+, client to server: \d+ bytes that the table has no row for$/m,
    plant: () => {
      const { traffic, send } = open;
      vi.spyOn(open, "traffic").mockImplementation((step, program) => {
        const sent = traffic(step, program);
        return step.mode === "reveal" ? { ...sent, fromClient: sent.ahead } : sent;
      });
      vi.spyOn(open, "send").mockImplementation((p, step) => {
        if (p.isServer || step.mode !== "reveal") return send!(p, step);
        const mask = p.temp(p.value(step.out).rows * p.value(step.out).columns);
        p.withDealer.words(p.ring, mask, step.id, CLIENT_MASK);
        return mask;
      });
    },
  },
  {
    name: "a value opened in an earlier flight than its own",
    caught: "table",
    shows: /^online 5, client to server: \d+ bytes that the table has no row for$/m,
    plant: () => {
      const original = Channel.prototype.send;
      vi.spyOn(Channel.prototype, "send").mockImplementation(function (this: Channel, phase, step, parts) {
        return original.call(this, phase, phase === "online" && step > 5 ? step - 1 : step, parts);
      });
    },
  },
  {
    name: "texts padded to their own length",
    caught: "shapes",
    shows: /^2 shapes of sessions$/,
    plant: () => {
      vi.spyOn(Client.prototype, "infer").mockImplementation(function (this: Client, text) {
        return this.inferAt(text, text.ids.length);
      });
    },
  },
  {
    name: "a text in a log",
    caught: "canaries",
    shows: /^text 1 is in the logs$/m,
    plant: () => {
      const original = TextInput.prototype.fill;
      vi.spyOn(TextInput.prototype, "fill").mockImplementation(function (this: TextInput, out, step) {
        console.debug(`about to share ${JSON.stringify(this)}`);
        return original.call(this, out, step);
      });
    },
  },
  {
    name: "a seed in a log",
    caught: "canaries",
    shows: /^a key from client to dealer is in the logs$/m,
    plant: () => {
      const original = Channel.prototype.receiveJson;
      vi.spyOn(Channel.prototype, "receiveJson").mockImplementation(async function (this: Channel, step, limit) {
        const message = await original.call(this, step, limit);
        console.debug("got", JSON.stringify(message));
        return message;
      });
    },
  },
  {
    name: "a client's seed that reaches the server",
    caught: "canaries",
    shows: /^a key from client to dealer went from client to server$/m,
    plant: () => {
      let seed = "";
      const original = Channel.prototype.sendJson;
      vi.spyOn(Channel.prototype, "sendJson").mockImplementation(function (this: Channel, step, value) {
        const fields = value as Record<string, unknown>;
        if (fields.role === "client") seed = String(fields.seed);
        return original.call(this, step, fields.request === "run" ? { ...fields, trace: seed } : value);
      });
    },
  },
  {
    name: "prepared material that is handed out again",
    caught: "ledger",
    shows: /session (\d+), step (\d+), purpose 0 and for session (?!\1,)\d+, step \2, purpose 0/,
    run: fromStore,
    plant: () => {
      // Without the ledger of used ids, a file that comes back is an item again.
      vi.spyOn(Ledger.prototype, "enter").mockResolvedValue(true);
      const original = FileStore.prototype.claim;
      vi.spyOn(FileStore.prototype, "claim").mockImplementation(async function (this: FileStore, key, id) {
        const item = await original.call(this, key, id);
        for (const side of ["client", "server"]) await restore(join(dir, side, key), item?.id);
        return item;
      });
    },
  },
  {
    name: "R kept though the weights are new",
    caught: "ledger",
    shows: /R of operand 0, part 0, weights 0 and for R of operand 0, part 0, weights 1/,
    run: twoVersions,
    plant: plantOneR,
  },
  {
    name: "the same, seen in what the dealer receives",
    caught: "uniform",
    shows: /^weights 1 under R, differences/m,
    run: twoVersions,
    plant: plantOneR,
  },
];

/** Puts a claimed item back among those that wait. */
async function restore(folder: string, id: string | undefined): Promise<void> {
  const files = await readdir(folder).catch((): string[] => []);
  if (!files.includes(`${id}.claimed`)) return;
  const used = join(`${dirname(folder)}.used`, basename(folder));
  const { epoch } = await Ledger.open(used);
  await copyFile(join(folder, `${id}.claimed`), join(folder, `${id}.${epoch}.material`));
}

const findings = (e: Evidence) => Object.fromEntries(Object.entries(CHECKS).map(([name, check]) => [name, check(e)]));
const NOTHING = Object.fromEntries(Object.keys(CHECKS).map((name) => [name, []]));

describe("in a healthy system no check finds anything", () => {
  it.each([
    ["material as it is needed", atOnce],
    ["prepared material", fromStore],
    ["two versions of a model", twoVersions],
  ] as const)("%s", async (_name, run) => {
    const evidence = await run();
    expect(findings(evidence)).toEqual(NOTHING);
    expect(evidence.views.size).toBeGreaterThan(60);
  });
});

describe("a planted leak is found", () => {
  for (const { name, caught, shows, plant, run } of LEAKS) {
    it(`${name}: by ${caught}`, async () => {
      plant();
      const evidence = await (run ?? atOnce)();
      vi.restoreAllMocks();
      expect(CHECKS[caught](evidence).join("\n")).toMatch(shows);
    });
  }
});

it("a Fourier mask below the period, opened without the reduction, is found", async () => {
  const wider = await harness({ gelu: "exact" }, LENGTH);
  const { steps, values } = wider.program;
  const periods = new Map(steps.flatMap((s) => (s.kind === "fourier" ? [[s.x, s.periodBits]] : [])));
  const opens = new Map(steps.filter((s) => periods.has(s.out)).map((s) => [s.id, periods.get(s.out)!]));
  expect(opens.size).toBeGreaterThan(0);
  // The sum x + t is sent with two bits above the period; t itself stays below it.
  for (const [id, period] of opens) values[steps[id].out].ring = period + 2;
  plantDraws((a) => (isMask(a) && opens.has(a.stream) ? { ...a, bits: Math.min(a.bits, opens.get(a.stream)!) } : a));
  const views = await collect(wider, 60, { broken: true });
  const sent = deviations(views).filter(({ z, key }) => z > Z && / online, server to client/.test(key));
  expect(
    sent.filter(({ key }) =>
      [...opens.keys()].some((id) => key.startsWith(`open exchange ${id},`) || key.startsWith(`open forward ${id},`)),
    ),
  ).not.toEqual([]);
});

it("a spline's values, opened under masks without the bits that choose their rows, are found", async () => {
  const deeper = await harness({}, LENGTH);
  const { steps, values } = deeper.program;
  const rows = new Map(
    steps.flatMap((s) => (s.kind === "spline" ? [[openingOf(steps, s.x), s.intervalBits] as const] : [])),
  );
  plantDraws((a) => (isMask(a) && rows.has(a.stream) ? { ...a, bits: a.bits - rows.get(a.stream)! } : a));
  const found = deviations(await collect(deeper, 25, { broken: true })).filter(({ z }) => z > Z);
  // Of a single value too little is seen.
  const many = [...rows.keys()].filter((id) => values[steps[id].out].rows === LENGTH);
  expect(many.length).toBeGreaterThan(0);
  for (const id of many) expect(found.filter(({ key }) => key.startsWith(`open ${id}, seen by `))).not.toEqual([]);
});

it.each(["counts", "nonzero"])("one-hot vectors dealt without the client's shares are found: %s", async (kind) => {
  const exact = await harness({ softmax: "exact", layers: 1 }, LENGTH);
  const dealt = new Set(exact.program.steps.filter((s) => s.kind === kind).map((s) => s.id));
  expect(dealt.size).toBeGreaterThan(0);
  plantDraws((a) => (dealt.has(a.stream) && a.purpose === SHARE ? null : a));
  const found = deviations(await collect(exact, 2, { broken: true })).filter(({ z }) => z > Z);
  for (const id of dealt)
    expect(found.filter(({ key }) => key.startsWith(`${kind} ${id}, offline, dealer to server`))).not.toEqual([]);
});

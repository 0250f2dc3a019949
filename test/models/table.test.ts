/**
 * docs/models.md's table of architectures and tasks: every pair that loads is in it, has a fixture, and gives PyTorch's numbers in floats
 * and in the parties' fixed point. `MPCFORMER_TABLE=write npx vitest run test/models/table.test.ts` runs every row under MPC and writes
 * the table; a plain run checks that no row is missing and that errors are as the table says.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { loadModel, type Model } from "../../src/models/checkpoint.ts";
import { specOf } from "../../src/models/config.ts";
import { familyOf } from "../../src/models/families/all.ts";
import { familyNames } from "../../src/models/families/known.ts";
import { logitsOf } from "../../src/models/model.ts";
import { simulateText } from "../../src/parties/rehearse.ts";
import { imageInput } from "../../src/program/images.ts";
import { isDecoder, type ModelSpec, type TokenizedText } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { Ring } from "../../src/ring/ring.ts";

const ROOT = new URL("./fixtures/", import.meta.url).pathname;
const DOC = new URL("../../docs/models.md", import.meta.url).pathname;
const WRITES = process.env.MPCFORMER_TABLE === "write";
/** 32-bit floats against 64-bit ones; logits under MPC, or a hundredth of their range. */
const FLOAT = 1e-4;
const PRIVATE = 0.05;

/** The ends of classes' names that transformers has for texts. */
const CLASSES = [
  "ForSequenceClassification",
  "ForTokenClassification",
  "ForQuestionAnswering",
  "ForImageClassification",
  "ForMaskedLM",
  "ForPreTraining",
  "ForNextSentencePrediction",
  "ForMultipleChoice",
  "ForCausalLM",
  "LMHeadModel",
  "DoubleHeadsModel",
  "Model",
];

const TASKS: Readonly<Record<ModelSpec["problem"], string>> = {
  mask: "masked words",
  classification: "labels and values of texts",
  labels: "labels and values of texts",
  regression: "labels and values of texts",
  tokens: "entities",
  spans: "answers to questions",
  vector: "embeddings",
  generation: "continuations",
};

interface Fixture {
  readonly folder: string;
  /** The folder whose encoder this head is of. */
  readonly base: string | null;
  readonly tokens: TokenizedText;
  readonly logits: readonly number[];
}

const configOf = (folder: string): string => readFileSync(join(folder, "config.json"), "utf8");
const taskOf = ({ problem, blocks }: ModelSpec): string =>
  blocks.patches === null ? TASKS[problem] : "labels of images";

const temporary: string[] = [];
afterAll(() => {
  for (const folder of temporary) rmSync(folder, { recursive: true });
});

type Rows = readonly (number | readonly number[])[];

interface Golden {
  readonly base?: string;
  readonly cases?: readonly Golden[];
  readonly ids?: readonly number[];
  readonly pixels?: readonly number[];
  readonly place?: number;
  readonly types?: readonly number[];
  readonly logits?: Rows | Readonly<Record<string, Rows>>;
  readonly vector?: readonly number[];
}

function fixtureAt(folder: string): Fixture | null {
  if (!existsSync(join(folder, "golden.json"))) return null;
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8")) as Golden;
  const one = golden.cases?.[0] ?? golden;
  const given = one.logits ?? one.vector;
  // Of a model with several stand-ins, by their names.
  const own = given === undefined || isRows(given) ? given : given[standIns(folder)];
  const logits = own?.flat();
  if (logits === undefined) return null;
  if (golden.pixels !== undefined) return { folder, base: null, tokens: imageOf(folder, golden.pixels), logits };
  if (one.ids === undefined) return null;
  const tokens = { ids: one.ids, types: one.types ?? one.ids.map(() => 0), place: one.place };
  return { folder, base: golden.base ?? null, tokens, logits };
}

const isRows = (given: Rows | Readonly<Record<string, Rows>>): given is Rows => Array.isArray(given);

function standIns(folder: string): string {
  const { gelu, softmax } = specOf(configOf(folder));
  return `${gelu}+${softmax}`;
}

function imageOf(folder: string, pixels: readonly number[]): TokenizedText {
  const { patches } = specOf(configOf(folder)).blocks;
  if (patches === null) throw new Error("an image is of a model that reads images");
  return imageInput(patches, Float32Array.from(pixels));
}

const folders = [ROOT, `${ROOT}families`, `${ROOT}images`, `${ROOT}masked`, `${ROOT}heads`].flatMap((parent) =>
  readdirSync(parent).map((name) => fixtureAt(join(parent, name))),
);
const fixtures = folders.filter((one) => one !== null);

/** A fixture's architecture and task; null for a head that does not load. */
function rowOf({ folder }: Fixture): string | null {
  try {
    const spec = specOf(configOf(folder));
    return `${spec.architecture} | ${taskOf(spec)}`;
  } catch {
    return null;
  }
}

/** One fixture a row, those with an encoder of their own first. */
const rows = new Map<string, Fixture>();
for (const one of fixtures) {
  const row = rowOf(one);
  if (row !== null && !rows.has(row)) rows.set(row, one);
}

/** Every pair that loads: each family's config.json with each class's name. */
function loading(): Set<string> {
  const pairs = new Set<string>();
  for (const name of familyNames) {
    const example = fixtures.find(
      ({ folder }) => (JSON.parse(configOf(folder)) as { model_type?: string }).model_type === name,
    );
    if (example === undefined) throw new Error(`${name} has no fixture`);
    const config = JSON.parse(configOf(example.folder)) as object;
    for (const ending of CLASSES) {
      try {
        const named = { ...config, architectures: [familyOf(name).className + ending] };
        pairs.add(`${name} | ${taskOf(specOf(JSON.stringify(named)))}`);
      } catch {
        // A head that does not load.
      }
    }
  }
  return pairs;
}

/** A file of weights whose own head has another name. */
function withoutHead(file: Buffer): Buffer {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Record<string, unknown>;
  const renamed = Object.entries(header).map(([name, at]) => [
    name.startsWith("classifier") ? `other.${name}` : name,
    at,
  ]);
  const bytes = Buffer.from(JSON.stringify(Object.fromEntries(renamed)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([size, bytes, file.subarray(8 + length)]);
}

/** The model of a fixture; a head's folder has the head's tensors alone, the rest is its base's. */
async function modelOf({ folder, base }: Fixture): Promise<Model> {
  if (base === null) return loadModel(folder);
  const whole = mkdtempSync(join(tmpdir(), "head-"));
  temporary.push(whole);
  cpSync(join(ROOT, base), whole, { recursive: true });
  cpSync(folder, whole, { recursive: true });
  if (existsSync(join(whole, "head.safetensors"))) {
    writeFileSync(join(whole, "encoder.safetensors"), withoutHead(readFileSync(join(whole, "model.safetensors"))));
    rmSync(join(whole, "model.safetensors"));
    const weight_map = { encoder: "encoder.safetensors", head: "head.safetensors" };
    writeFileSync(join(whole, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
  }
  return loadModel(whole);
}

/** The largest difference; of a decoder's rows of logits those of the last count under MPC. */
function worst(got: ArrayLike<number>, expected: readonly number[]): number {
  expect(got.length).toBeLessThanOrEqual(expected.length);
  const tail = expected.slice(-got.length);
  return tail.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i])), 0);
}

function floatError({ spec, weights }: Model, { tokens, logits }: Fixture): number {
  const scoring = isDecoder(spec) && logits.length > spec.labels;
  return worst(logitsOf(new FloatOps(weights, tokens, tokens.ids.length, { scoring }), spec).data, logits);
}

async function privateError({ spec, weights }: Model, { tokens, logits }: Fixture): Promise<number> {
  const plan = calibrate(spec, weights, [tokens]);
  const run = await simulateText(await Ring.create(), { spec, weights, plan }, tokens);
  expect(run.violations).toEqual([]);
  return worst(run.logits, logits);
}

const rangeOf = (logits: readonly number[]) => Math.max(...logits) - Math.min(...logits);
const allowed = ({ logits }: Fixture) => Math.max(PRIVATE, 0.01 * rangeOf(logits));

/** The table's rows in the document, by architecture and task. */
function documented(): Map<string, { readonly float: string; readonly hidden: number }> {
  const lines = readFileSync(DOC, "utf8").split("\n");
  return new Map(
    lines.flatMap((line) => {
      const [, name, task, float, hidden] = /^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \| ([\d.]+) \|$/.exec(line) ?? [];
      return name === undefined ? [] : [[`${name} | ${task}`, { float, hidden: Number(hidden) }]];
    }),
  );
}

it("every pair of an architecture and a task that loads has a fixture: python scripts/make-head-goldens.py makes heads'", () => {
  expect([...loading()].filter((pair) => !rows.has(pair))).toEqual([]);
});

it.skipIf(WRITES)("the document has each of them, and no other: MPCFORMER_TABLE=write writes it", () => {
  expect([...documented().keys()].sort()).toEqual([...rows.keys()].sort());
});

describe.skipIf(WRITES)("errors are within what the table says", () => {
  const written = documented();
  it.each([...rows])("%s", async (row, one) => {
    const model = await modelOf(one);
    expect(floatError(model, one)).toBeLessThan(FLOAT);
    expect(written.get(row)?.hidden).toBeLessThanOrEqual(allowed(one));
    // The families' own heads run under MPC in tests of theirs.
    if (one.base !== null) expect(await privateError(model, one)).toBeLessThan(allowed(one));
  });
});

it.runIf(WRITES)(
  "writes the table",
  async () => {
    const lines: string[] = [];
    for (const [row, one] of [...rows].sort(
      ([a], [b]) => familyNames.indexOf(a.split(" ")[0]) - familyNames.indexOf(b.split(" ")[0]),
    )) {
      const model = await modelOf(one);
      const [name, task] = row.split(" | ");
      expect(floatError(model, one), row).toBeLessThan(FLOAT);
      const hidden = await privateError(model, one);
      expect(hidden, row).toBeLessThan(allowed(one));
      lines.push(`| \`${name}\` | ${task} | < ${FLOAT} | ${hidden.toFixed(4)} |`);
    }
    const text = readFileSync(DOC, "utf8");
    const [before, , after] = text.split(/<!-- table:(?:begin|end) -->/);
    const head = "| `model_type` | task | float error | error under MPC |\n|---|---|---|---|";
    writeFileSync(DOC, `${before}<!-- table:begin -->\n${head}\n${lines.join("\n")}\n<!-- table:end -->${after}`);
  },
  600_000,
);

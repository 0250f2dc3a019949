/**
 * The long form of test/fuzz: `npm run long -- fuzz [--door NAME] [--inputs N] [--seconds N] [--seed N]`, all after
 * `npm run build`. Writes one line of JSON a door: inputs, findings, the slowest input, growth of memory.
 */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs, stripVTControlCharacters } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import ts from "typescript";

const MOST_FINDINGS = 20;
const { values } = parseArgs({
  options: {
    door: { type: "string", multiple: true },
    inputs: { type: "string", default: "10000000" },
    seconds: { type: "string", default: "3600" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
  },
});

const MODULES = ["fuzz/edits", "fuzz/judge", "fuzz/doors", "models/gguf-bytes"];

/** The modules of test/fuzz, and what they import of other tests, as JavaScript over dist: Node 20 does not read TypeScript. */
async function fuzzModules() {
  const folder = mkdtempSync(join(tmpdir(), "mpcformer-fuzz-"));
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const dist = new URL("../../dist/", import.meta.url).href;
  for (const room of ["fuzz", "models"]) mkdirSync(join(folder, room));
  for (const name of MODULES) {
    const source = readFileSync(fileURLToPath(new URL(`../${name}.ts`, import.meta.url)), "utf8");
    const script = ts.transpileModule(source, { compilerOptions: options }).outputText;
    const linked = script.replace(/from "\.\.\/\.\.\/src\/(.+?)\.ts"/g, (_, path) => `from "${dist}${path}.js"`);
    writeFileSync(join(folder, `${name}.mjs`), linked.replace(/from "(\.[\w./-]+)\.ts"/g, 'from "$1.mjs"'));
  }
  try {
    const [doors, { judge }] = await Promise.all(
      ["doors", "judge"].map((name) => import(pathToFileURL(join(folder, "fuzz", `${name}.mjs`)).href)),
    );
    return { doors: Object.values(doors).filter((door) => Array.isArray(door.bases)), judge };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** 32-bit numbers, the same for the same seed (xorshift, Marsaglia 2003). */
function generator(seed) {
  let x = seed | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

function collected() {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** One to four edits, more often few. */
function drawn(next) {
  const count = 1 + Math.min(...Array.from({ length: 2 }, () => next() % 4));
  return Array.from({ length: count }, () => [next(), next(), next(), next()]);
}

async function fuzz(door, judge, { inputs, seconds, seed }) {
  const next = generator(seed);
  const findings = [];
  const result = { door: door.name, seed, inputs: 0, taken: 0, refused: 0, slowestMs: 0, slowest: "" };
  const [start, before, peak] = [performance.now(), collected(), process.resourceUsage().maxRSS];
  while (result.inputs < inputs && performance.now() - start < 1000 * seconds && findings.length < MOST_FINDINGS) {
    const [base, edits] = [next() % door.bases.length, drawn(next)];
    try {
      const { outcome, ms } = await judge(door, door.edited(door.bases[base], edits));
      result[outcome]++;
      if (ms > result.slowestMs) Object.assign(result, { slowestMs: ms, slowest: JSON.stringify([base, edits]) });
    } catch (error) {
      findings.push({ base, edits, message: stripVTControlCharacters(String(error.message)).slice(0, 300) });
    }
    result.inputs++;
  }
  const mb = (bytes) => Math.round(bytes / 104_857.6) / 10;
  return {
    ...result,
    slowestMs: Math.round(10 * result.slowestMs) / 10,
    seconds: Math.round((performance.now() - start) / 1000),
    grownMb: mb(collected() - before),
    peakGrownMb: mb(1024 * (process.resourceUsage().maxRSS - peak)),
    findings,
  };
}

const { doors, judge } = await fuzzModules();
const chosen = doors.filter(({ name }) => values.door === undefined || values.door.includes(name));
let found = 0;
for (const door of chosen) {
  const limits = { inputs: Number(values.inputs), seconds: Number(values.seconds), seed: Number(values.seed) };
  const result = await fuzz(door, judge, limits);
  found += result.findings.length;
  console.log(JSON.stringify(result));
}
process.exitCode = found === 0 && chosen.length > 0 ? 0 : 1;

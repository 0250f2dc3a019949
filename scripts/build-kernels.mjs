// The WebAssembly kernels, with memory of their own and with shared memory, side by side: each takes one core for some seconds. Where
// both were made of the same sources by the same compiler, nothing is done.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const SOURCES = "src/ring/assembly";
const CONFIG = "asconfig.json";
const COMPILER = "node_modules/assemblyscript";
const MADE_OF = "node_modules/.cache/kernels.json";

const { targets } = JSON.parse(readFileSync(CONFIG, "utf8"));
const made = Object.values(targets).map(({ outFile }) => outFile);

function digest(files) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

function known() {
  try {
    return JSON.parse(readFileSync(MADE_OF, "utf8"));
  } catch {
    return {};
  }
}

const sources = digest([
  CONFIG,
  `${COMPILER}/package.json`,
  ...readdirSync(SOURCES)
    .sort()
    .map((f) => join(SOURCES, f)),
]);
const last = known();
if (last.sources !== sources || !made.every(existsSync) || last.made !== digest(made)) {
  const compiler = (target) =>
    promisify(execFile)(process.execPath, [
      ...[`${COMPILER}/bin/asc.js`, `${SOURCES}/index.ts`],
      ...["--config", CONFIG, "--target", target],
    ]);
  // It writes notes on its optimiser where all went well.
  await Promise.all(Object.keys(targets).map(compiler)).catch((error) => {
    console.error(`${error.stdout ?? ""}${error.stderr ?? error}`);
    process.exit(1);
  });
  mkdirSync(dirname(MADE_OF), { recursive: true });
  writeFileSync(MADE_OF, `${JSON.stringify({ sources, made: digest(made) })}\n`);
}

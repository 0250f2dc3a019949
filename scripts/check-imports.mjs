// The table of rooms: what each folder of src may import. Downwards only; a new import is a decision, not an accident. And no file imports
// itself through others, by value or by type.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const MAY_IMPORT = {
  files: [],
  // What differs between Node.js and browsers: "#platform" to whoever imports it.
  platform: [],
  ring: ["platform"],
  program: [],
  channels: ["platform"],
  approximations: ["program"],
  reference: ["program"],
  models: ["files", "reference", "program", "approximations"],
  // What people read of a model's answer.
  answers: ["models", "program"],
  protocols: ["program", "ring"],
  admission: [],
  stores: ["protocols", "program", "ring", "channels"],
  compiler: ["models", "reference", "protocols", "program"],
  parties: [
    "answers",
    "admission",
    "stores",
    "compiler",
    "reference",
    "protocols",
    "models",
    "program",
    "ring",
    "channels",
    "platform",
  ],
  tasks: ["files"],
  distill: ["files", "models", "reference", "approximations", "program"],
  // What a provider's console is told: src/cli tells it, web/console shows it.
  console: ["parties", "admission"],
  // OpenAI's API, over a client.
  gateway: ["parties", "admission", "models", "program", "channels"],
  // The pages; src/cli serves what is built of them.
  "../web": ["console", "admission", "answers", "parties", "models", "program", "ring", "channels", "platform"],
  cli: [
    "files",
    "console",
    "gateway",
    "tasks",
    "distill",
    "parties",
    "admission",
    "stores",
    "compiler",
    "reference",
    "protocols",
    "models",
    "approximations",
    "program",
    "ring",
    "channels",
    "platform",
  ],
};

const src = resolve("src");
/** What every room may import. */
const COMMON = "errors.ts";
const faults = [];
/** Each file's imports of files. */
const imports = new Map();
const roomOf = (path) => relative(src, path).match(/^(\.\.\/)?[^/]+/)[0];
const files = [src, resolve("web")].flatMap((root) => readdirSync(root, { recursive: true, withFileTypes: true }));
for (const entry of files) {
  if (!/\.tsx?$/.test(entry.name) || entry.parentPath.includes("assembly")) continue;
  const path = join(entry.parentPath, entry.name);
  const room = roomOf(path);
  imports.set(path, []);
  for (const [, target] of readFileSync(path, "utf8").matchAll(/(?:from|import\()\s*"([.#][^"]+)"/g)) {
    if (target.startsWith(".")) imports.get(path).push(resolve(dirname(path), target));
    if (!(room in MAY_IMPORT)) continue;
    const other = target.startsWith("#") ? target.slice(1) : roomOf(resolve(dirname(path), target));
    if (other !== room && other !== COMMON && !MAY_IMPORT[room].includes(other))
      faults.push(`${relative(".", path)} imports from ${other}`);
  }
}

const finished = new Set();
/** Looks for a way back to a file of `way`. */
function follow(path, way) {
  const at = way.indexOf(path);
  if (at >= 0) faults.push(`${[...way.slice(at), path].map((one) => relative(".", one)).join(" -> ")} is a cycle`);
  if (at >= 0 || finished.has(path)) return;
  for (const target of imports.get(path) ?? []) follow(target, [...way, path]);
  finished.add(path);
}
for (const path of imports.keys()) follow(path, []);

if (faults.length > 0) {
  console.error(`rooms import downwards only, files not each other:\n${faults.join("\n")}`);
  process.exit(1);
}

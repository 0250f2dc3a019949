// The table of rooms: what each folder of src may import. Downwards only; a new import is a decision, not an accident.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const MAY_IMPORT = {
  ring: [],
  program: [],
  channels: [],
  approximations: ["program"],
  models: ["program", "approximations"],
  protocols: ["program", "ring"],
  parties: ["protocols", "models", "program", "ring", "channels"],
  tasks: [],
  distill: ["models", "approximations", "program"],
  cli: ["tasks", "distill", "parties", "protocols", "models", "approximations", "program", "ring", "channels"],
};

const src = resolve("src");
const faults = [];
for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
  if (!entry.name.endsWith(".ts") || entry.parentPath.includes("assembly")) continue;
  const path = join(entry.parentPath, entry.name);
  const room = relative(src, path).split("/")[0];
  if (!(room in MAY_IMPORT)) continue;
  for (const [, target] of readFileSync(path, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
    const other = relative(src, resolve(dirname(path), target)).split("/")[0];
    if (other !== room && !MAY_IMPORT[room].includes(other))
      faults.push(`${relative(".", path)} imports from ${other}`);
  }
}
if (faults.length > 0) {
  console.error(`rooms import downwards only:\n${faults.join("\n")}`);
  process.exit(1);
}

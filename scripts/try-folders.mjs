// Tries every Hugging Face folder under a path that has PyTorch's answer beside it (golden.json: ids, types, logits), in floats:
//   node scripts/try-folders.mjs FOLDERS [--json]
// prints which load, and the largest error of each, or why it does not. Needs dist/.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loadModel } from "../dist/models/checkpoint.js";
import { logitsOf } from "../dist/models/model.js";
import { FloatOps } from "../dist/reference/float.js";

const [root, form] = process.argv.slice(2);
if (root === undefined) {
  console.error("usage: node scripts/try-folders.mjs FOLDERS [--json]");
  process.exit(2);
}

/** The golden's numbers: a row a label, a token or a position. */
function expectedOf(golden) {
  const { logits, start_logits: starts, end_logits: ends } = golden;
  if (starts !== undefined) return starts.flatMap((start, i) => [start, ends[i]]);
  return logits?.flat();
}

/** How far floats are from PyTorch, or why nobody knows. */
async function tried(folder) {
  const golden = JSON.parse(readFileSync(join(folder, "golden.json"), "utf8"));
  try {
    const { spec, weights } = await loadModel(folder);
    const expected = expectedOf(golden);
    if (golden.ids === undefined || expected === undefined)
      return { loads: true, reason: "its golden has no logits of a text" };
    const { ids, types } = golden;
    const { data } = logitsOf(new FloatOps(weights, { ids, types }, ids.length, { scoring: true }), spec);
    if (data.length !== expected.length)
      return { loads: true, reason: `${data.length} values, expected ${expected.length}` };
    return { loads: true, error: Math.max(...expected.map((x, i) => Math.abs(x - data[i]))) };
  } catch (error) {
    return { loads: false, reason: error.message };
  }
}

const results = {};
for (const name of readdirSync(root).sort())
  if (existsSync(join(root, name, "golden.json"))) results[name] = await tried(join(root, name));

if (form === "--json") console.log(JSON.stringify(results, null, 2));
else {
  const width = Math.max(...Object.keys(results).map((name) => name.length));
  for (const [name, { error, reason }] of Object.entries(results))
    console.log(`${name.padEnd(width)}  ${error === undefined ? reason : error.toExponential(1)}`);
  const loaded = Object.values(results).filter(({ loads }) => loads);
  const equal = loaded.filter(({ error }) => error < 1e-4);
  console.log(`${loaded.length} of ${Object.keys(results).length} load, ${equal.length} within 1e-4 of PyTorch`);
}

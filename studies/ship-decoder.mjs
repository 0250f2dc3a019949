// A distilled folder as it ships: F16, as many positions as it was trained at, a plan. node studies/ship-decoder.mjs FROM TO LENGTH TEXTS
import { writeFile } from "node:fs/promises";
import { loadModel, saveModel } from "../dist/models/checkpoint.js";
import { TextTokenizer } from "../dist/models/tokenizer.js";
import { calibrate } from "../dist/compiler/calibrate.js";
import { windowsOf } from "../dist/distill/language.js";
import { readDocuments, unlimited } from "../dist/cli/language.js";
import { planJson } from "../dist/cli/source.js";
import { floatMatmul } from "../dist/cli/float.js";
const [from, to, length, texts] = process.argv.slice(2);
const model = await loadModel(from);
const spec = { ...model.spec, positions: Number(length) };
await saveModel(to, { spec, weights: model.weights, tokenizer: new TextTokenizer(model.tokenizer.files, spec) }, { dtype: "F16" });
const shipped = await loadModel(to);
const documents = await readDocuments(texts);
// Stories from their beginnings, as users' texts are, and windows from anywhere.
const whole = documents.filter((_, i) => i % 5 === 0).map((one) => shipped.tokenizer.encode(one, undefined, { truncate: true }));
const windows = windowsOf(documents, unlimited(shipped), Number(length)).filter((_, i) => i % 20 === 0);
const plan = calibrate(spec, shipped.weights, [...whole, ...windows], { matmul: await floatMatmul() });
await writeFile(`${to}/mpcformer.json`, planJson(spec, plan));
console.log(whole.length, windows.length, "texts");

// Seconds of one training step over long texts, MiniLM-L6's shape (six layers, 384 wide, 12 heads), random weights and tokens: the
// distillation of all layers (its teacher's forward pass included), and labels alone with exact functions and with stand-ins.
//
//   npm run build && node bench/long-texts.mjs [--threads 2] [--texts 8] [--length 512] [--steps 3] [--dist DIR]
//
// --dist: another build of this package, to compare. Processor time is told too: on a busy machine compare that.
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "2" },
    texts: { type: "string", default: "8" },
    length: { type: "string", default: "512" },
    steps: { type: "string", default: "3" },
    dist: { type: "string", default: new URL("../dist", import.meta.url).pathname },
  },
});
const from = (file) => import(`${values.dist}/${file}`);
const { batchOf } = await from("distill/batches.js");
const { ADAM } = await from("distill/optimiser.js");
const { Trainer } = await from("distill/trainer.js");
const { writeObjective } = await from("distill/objective.js");
const { initialWeights, resident } = await from("distill/weights.js");
const { catalogSpec, randomText } = await from("models/catalog.js");
const { withOverrides } = await from("models/config.js");

const shape = { layers: 6, heads: 12, hidden: 384, intermediate: 1536 };
const exact = { ...catalogSpec("bert-base", { gelu: "exact", softmax: "exact" }), ...shape };
const weights = resident(exact, initialWeights(exact, 1));
const teacher = { spec: exact, weights };
const student = { spec: withOverrides(exact, { gelu: "quad", softmax: "2quad" }), weights };
const none = { hidden: 0, scores: 0, prediction: 0, labels: 0, ranges: 0, sums: 0 };
const cases = {
  "distillation of layers": [student, teacher, { ...none, hidden: 1, scores: 1 }],
  "labels, exact functions": [teacher, null, { ...none, labels: 1 }],
  "labels, Quad and 2Quad": [student, null, { ...none, labels: 1 }],
};

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const rows = [];
for (const [name, [model, theirs, losses]] of Object.entries(cases)) {
  const objective = { weights: losses, temperature: 1, freeze: "words", seed: 1 };
  const trainer = await Trainer.open((graph) => writeObjective(graph, model, theirs, objective), {
    adam: ADAM,
    dropout: 0,
    accumulate: 1,
    seed: 1,
    vocabulary: exact.vocabulary,
    threads: Number(values.threads),
  });
  const texts = Array.from({ length: Number(values.texts) }, (_, i) => ({
    text: randomText(exact, Number(values.length), i),
    label: i % 2,
  }));
  const batch = batchOf(texts, exact);
  const [wall, processor] = [[], []];
  for (let step = 0; step <= Number(values.steps); step++) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    const { loss } = await trainer.step([batch], 1e-5);
    if (!Number.isFinite(loss)) throw new Error(`${name}: the loss is not finite`);
    const { user, system } = process.cpuUsage(used);
    if (step === 0) continue; // warms up
    wall.push((performance.now() - start) / 1000);
    processor.push((user + system) / 1e6);
  }
  await trainer.close();
  rows.push({ step: name, seconds: median(wall).toFixed(2), "processor seconds": median(processor).toFixed(2) });
}
console.table(rows);

// Steps a second of training one Transformer block (128 wide, 512 in the feed-forward layer, 4 heads, GELU and softmax,
// AdamW) on 16 x 64 tokens: this package, jax-js and, where it is installed, tfjs. Rounds alternate; the median counts.
//
//   npm run build && node bench/training.mjs [--threads 2] [--rounds 5] [--steps 2000]
//   npm install --no-save @tensorflow/tfjs@4.22.0     for the third column
//
// --steps n: afterwards n steps of ours with the resident memory before and after.
import { parseArgs } from "node:util";
import { batchOf } from "../dist/distill/batches.js";
import { meanSquaredError } from "../dist/distill/losses.js";
import { ADAM } from "../dist/distill/optimiser.js";
import { Trainer } from "../dist/distill/trainer.js";
import { TrainingOps } from "../dist/distill/training-ops.js";
import { initialWeights, resident } from "../dist/distill/weights.js";
import { encoder } from "../dist/models/bert.js";
import { catalogSpec, randomText } from "../dist/models/catalog.js";

const { values } = parseArgs({
  options: {
    threads: { type: "string" },
    rounds: { type: "string", default: "5" },
    steps: { type: "string", default: "0" },
  },
});
const [TEXTS, LENGTH, WIDTH, INNER, HEADS] = [16, 64, 128, 512, 4];
const RATE = 1e-4;
// Forward: four square layers, two of the feed-forward, scores and their mean; backward twice that; 2 FLOP a product.
const PER_TOKEN = 2 * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER + 2 * LENGTH * WIDTH);
const GFLOP = (3 * PER_TOKEN * TEXTS * LENGTH) / 1e9;

async function ours() {
  const base = catalogSpec("bert-tiny", { gelu: "exact", softmax: "exact" });
  const spec = { ...base, layers: 1, heads: HEADS, vocabulary: 1000, positions: LENGTH };
  const model = { spec, weights: resident(spec, initialWeights(spec, 1)) };
  const write = (graph) => {
    const o = graph.batch.operators;
    const ops = new TrainingOps(
      graph.batch,
      graph.trainable(model.weights, (name) => name.startsWith("embeddings.")),
    );
    const states = encoder(ops, spec).value;
    const count = o.e.graph.floats(TEXTS * LENGTH * WIDTH);
    return [{ name: "hidden", weight: 1, value: meanSquaredError(o, states, o.e.graph.floats(0.5), { count }) }];
  };
  const threads = values.threads === undefined ? {} : { threads: Number(values.threads) };
  const trainer = await Trainer.open(write, {
    adam: ADAM,
    dropout: 0,
    accumulate: 1,
    seed: 1,
    vocabulary: spec.vocabulary,
    ...threads,
  });
  const texts = Array.from({ length: TEXTS }, (_, i) => ({ text: randomText(spec, LENGTH, i), label: 0 }));
  const batch = batchOf(texts, spec);
  return async () => (await trainer.step([batch], RATE)).loss;
}

const SHAPES = {
  wq: [WIDTH, WIDTH],
  wk: [WIDTH, WIDTH],
  wv: [WIDTH, WIDTH],
  wo: [WIDTH, WIDTH],
  w1: [WIDTH, INNER],
  w2: [INNER, WIDTH],
  bq: [WIDTH],
  bk: [WIDTH],
  bv: [WIDTH],
  bo: [WIDTH],
  b1: [INNER],
  b2: [WIDTH],
  g1: [WIDTH],
  h1: [WIDTH],
  g2: [WIDTH],
  h2: [WIDTH],
};

function initial() {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length: size }, () => (name.startsWith("g") ? 1 : 0.1 * next()))];
    }),
  );
}

const input = Float32Array.from({ length: TEXTS * LENGTH * WIDTH }, (_, i) => Math.sin(i));

async function jaxJs() {
  const { init, defaultDevice, numpy: np, nn, jit, valueAndGrad } = await import("@jax-js/jax");
  await init("wasm");
  defaultDevice("wasm");
  const names = Object.keys(SHAPES);
  const linear = (x, w, b) => np.matmul(x, w).add(b);
  const heads = (x) => x.reshape([TEXTS, LENGTH, HEADS, WIDTH / HEADS]).transpose([0, 2, 1, 3]);
  const norm = (x, g, h) => {
    const centred = x.ref.sub(np.mean(x, -1, { keepdims: true }));
    const variance = np.mean(np.square(centred.ref), -1, { keepdims: true });
    return centred
      .div(np.sqrt(variance.add(1e-12)))
      .mul(g)
      .add(h);
  };
  const loss = (p, x) => {
    const q = heads(linear(x.ref, p.wq, p.bq));
    const k = heads(linear(x.ref, p.wk, p.bk));
    const v = heads(linear(x.ref, p.wv, p.bv));
    const scores = np.matmul(q, k.transpose([0, 1, 3, 2])).mul(1 / Math.sqrt(WIDTH / HEADS));
    const mixed = np
      .matmul(nn.softmax(scores, -1), v)
      .transpose([0, 2, 1, 3])
      .reshape([TEXTS * LENGTH, WIDTH]);
    const y = norm(linear(mixed, p.wo, p.bo).add(x), p.g1, p.h1);
    const inner = nn.gelu(linear(y.ref, p.w1, p.b1), { approximate: false });
    const out = norm(linear(inner, p.w2, p.b2).add(y), p.g2, p.h2);
    return np.mean(np.square(out.sub(0.5)));
  };
  const step = jit((p, m, v, rate, epsilon, x) => {
    const refs = Object.fromEntries(names.map((name) => [name, p[name].ref]));
    const [value, g] = valueAndGrad(loss)(refs, x);
    const [p2, m2, v2] = [{}, {}, {}];
    for (const name of names) {
      const m1 = m[name].mul(0.9).add(g[name].ref.mul(0.1));
      const v1 = v[name].mul(0.999).add(np.square(g[name]).mul(0.001));
      p2[name] = p[name].sub(m1.ref.div(np.sqrt(v1.ref).add(epsilon.ref)).mul(rate.ref));
      m2[name] = m1;
      v2[name] = v1;
    }
    rate.dispose();
    epsilon.dispose();
    return [value, p2, m2, v2];
  });
  const first = initial();
  const tree = (f) => Object.fromEntries(names.map((name) => [name, f(name)]));
  let p = tree((name) => np.array(first[name]).reshape(SHAPES[name]));
  let m = tree((name) => np.zeros(SHAPES[name]));
  let v = tree((name) => np.zeros(SHAPES[name]));
  const x = np.array(input).reshape([TEXTS * LENGTH, WIDTH]);
  return async () => {
    let value;
    [value, p, m, v] = step(p, m, v, np.array(RATE), np.array(1e-8), x.ref);
    return (await value.data())[0];
  };
}

async function tfjs() {
  const tf = await import("@tensorflow/tfjs");
  await tf.setBackend("cpu");
  const first = initial();
  const p = Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => [name, tf.variable(tf.tensor(first[name], shape))]),
  );
  const x = tf.tensor(input, [TEXTS * LENGTH, WIDTH]);
  const heads = (y) => tf.transpose(tf.reshape(y, [TEXTS, LENGTH, HEADS, WIDTH / HEADS]), [0, 2, 1, 3]);
  const linear = (y, w, b) => tf.add(tf.matMul(y, w), b);
  const norm = (y, g, h) => {
    const { mean, variance } = tf.moments(y, -1, true);
    return tf.add(tf.mul(tf.div(tf.sub(y, mean), tf.sqrt(tf.add(variance, 1e-12))), g), h);
  };
  const loss = () => {
    const [q, k, v] = [heads(linear(x, p.wq, p.bq)), heads(linear(x, p.wk, p.bk)), heads(linear(x, p.wv, p.bv))];
    const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(WIDTH / HEADS));
    const mixed = tf.reshape(tf.transpose(tf.matMul(tf.softmax(scores), v), [0, 2, 1, 3]), [TEXTS * LENGTH, WIDTH]);
    const y = norm(tf.add(linear(mixed, p.wo, p.bo), x), p.g1, p.h1);
    const z = linear(y, p.w1, p.b1);
    const inner = tf.mul(tf.mul(z, 0.5), tf.add(tf.erf(tf.mul(z, Math.SQRT1_2)), 1));
    const out = norm(tf.add(linear(inner, p.w2, p.b2), y), p.g2, p.h2);
    return tf.mean(tf.square(tf.sub(out, 0.5)));
  };
  const adam = tf.train.adam(RATE);
  return async () => {
    const value = adam.minimize(loss, true);
    const number = (await value.data())[0];
    value.dispose();
    return number;
  };
}

const STEPS = { "this package": 20, "jax-js": 5, tfjs: 1 };
const steppers = { "this package": await ours(), "jax-js": await jaxJs() };
try {
  steppers.tfjs = await tfjs();
} catch {
  console.error("tfjs is not installed: npm install --no-save @tensorflow/tfjs@4.22.0");
}
const rates = Object.fromEntries(Object.keys(steppers).map((name) => [name, []]));
for (let round = 0; round <= Number(values.rounds); round++) {
  for (const [name, step] of Object.entries(steppers)) {
    if (name === "tfjs" && round > 1) continue;
    const start = performance.now();
    for (let i = 0; i < STEPS[name]; i++) {
      if (!Number.isFinite(await step())) throw new Error(`${name}: the loss is not finite`);
    }
    // The first round warms up.
    if (round > 0) rates[name].push((1000 * STEPS[name]) / (performance.now() - start));
  }
}
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const own = median(rates["this package"]);
console.table(
  Object.entries(rates).map(([name, list]) => ({
    engine: name,
    "steps/s": Number(median(list).toFixed(2)),
    "GFLOP/s": Number((median(list) * GFLOP).toFixed(1)),
    "ours is faster by": Number((own / median(list)).toFixed(1)),
  })),
);
if (Number(values.steps) > 0) {
  const memory = () => Math.round(process.memoryUsage().rss / 2 ** 20);
  const step = steppers["this package"];
  for (let i = 0; i < 100; i++) await step();
  const before = memory();
  const start = performance.now();
  for (let i = 0; i < Number(values.steps); i++) await step();
  const rate = Number(values.steps) / ((performance.now() - start) / 1000);
  console.log(`${values.steps} steps at ${rate.toFixed(1)} steps/s: ${before} MB before, ${memory()} MB after`);
}

import { describe, it } from "vitest";
import { scoresError, shiftedScores, softmaxMeans, weightedMeans } from "../../src/distill/attention.ts";
import { crossEntropy, excess, meanSquaredError, sumExcess, tokenEntropy } from "../../src/distill/losses.ts";
import { smoothFunctions } from "../../src/program/smooth.ts";
import { checkGradients, dense, type GradientCase, uniform } from "./gradients.ts";

const next = uniform(7);
const [x, y] = [dense([4, 6], next), dense([4, 6], next)];
const [q, k] = [dense([2, 2, 3, 4], next), dense([2, 2, 5, 4], next)];
const s = dense([2, 2, 3, 5], next);

const rows = (data: readonly number[], width: number) =>
  Array.from({ length: data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width));
const sum = (v: readonly number[]) => v.reduce((a, b) => a + b, 0);

/** Batched a [.., m, k] times b [.., k, n], b given by an index function. */
function product(
  a: readonly number[],
  m: number,
  inner: number,
  n: number,
  blocks: number,
  b: (block: number, c: number, j: number) => number,
): number[] {
  const out: number[] = [];
  for (let block = 0; block < blocks; block++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++)
        out.push(sum(Array.from({ length: inner }, (_, c) => a[(block * m + i) * inner + c] * b(block, c, j))));
  return out;
}

const cases: Record<string, GradientCase> = {
  linear: {
    inputs: { x, w: dense([3, 6], next), b: dense([3], next) },
    build: (o, v) => o.linear(v.x, v.w, v.b),
    reference: ({ x, w, b }) => product(x, 4, 6, 3, 1, (_, c, j) => w[j * 6 + c]).map((z, i) => z + b[i % 3]),
  },
  "linear without bias": {
    inputs: { x, w: dense([3, 6], next) },
    build: (o, v) => o.linear(v.x, v.w),
    reference: ({ x, w }) => product(x, 4, 6, 3, 1, (_, c, j) => w[j * 6 + c]),
  },
  multiply: {
    inputs: { x, y },
    build: (o, v) => o.multiply(v.x, v.y),
    reference: ({ x, y }) => x.map((z, i) => z * y[i]),
  },
  "multiply of a value by itself": {
    inputs: { x },
    build: (o, v) => o.multiply(v.x, v.x),
    reference: ({ x }) => x.map((z) => z * z),
  },
  add: {
    inputs: { x, y },
    build: (o, v) => o.add(v.x, v.y),
    reference: ({ x, y }) => x.map((z, i) => z + y[i]),
  },
  "add of a value to itself": {
    inputs: { x },
    build: (o, v) => o.add(v.x, v.x),
    reference: ({ x }) => x.map((z) => 2 * z),
  },
  scale: {
    inputs: { x },
    build: (o, v) => o.scale(v.x, 3),
    reference: ({ x }) => x.map((z) => 3 * z),
  },
  shift: {
    inputs: { x },
    build: (o, v) => o.shift(v.x, 3),
    reference: ({ x }) => x.map((z) => z + 3),
  },
  "reshape and transpose": {
    inputs: { q },
    build: (o, v) => o.reshape(o.transpose(v.q, 0, 2, 1, 3), o.e.graph.ints([-1, 8])),
    reference: ({ q }) =>
      [0, 1].flatMap((b) =>
        [0, 1, 2].flatMap((r) =>
          [0, 1].flatMap((a) => q.slice(((b * 2 + a) * 3 + r) * 4, ((b * 2 + a) * 3 + r + 1) * 4)),
        ),
      ),
  },
  timesTransposed: {
    inputs: { q, k },
    build: (o, v) => o.timesTransposed(v.q, v.k),
    reference: ({ q, k }) => product(q, 3, 4, 5, 4, (block, c, j) => k[(block * 5 + j) * 4 + c]),
  },
  times: {
    inputs: { s, k },
    build: (o, v) => o.times(v.s, v.k),
    reference: ({ s, k }) => product(s, 3, 5, 4, 4, (block, c, j) => k[(block * 5 + c) * 4 + j]),
  },
  layerNorm: {
    inputs: { x, gain: dense([6], next), bias: dense([6], next) },
    build: (o, v) => o.layerNorm(v.x, v.gain, v.bias, 1e-5),
    reference: ({ x, gain, bias }) =>
      rows(x, 6).flatMap((row) => {
        const mean = sum(row) / 6;
        const variance = sum(row.map((z) => (z - mean) ** 2)) / 6;
        return row.map((z, i) => ((z - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
      }),
  },
  rmsNorm: {
    inputs: { x, gain: dense([6], next) },
    build: (o, v) => o.rmsNorm(v.x, v.gain, 1e-5),
    reference: ({ x, gain }) =>
      rows(x, 6).flatMap((row) => {
        const meanSquare = sum(row.map((z) => z * z)) / 6;
        return row.map((z, i) => (z / Math.sqrt(meanSquare + 1e-5)) * gain[i]);
      }),
  },
  unit: {
    inputs: { x },
    build: (o, v) => o.unit(v.x),
    reference: ({ x }) => rows(x, 6).flatMap((row) => row.map((z) => z / Math.sqrt(sum(row.map((y) => y * y))))),
  },
  rotate: {
    inputs: { h: dense([2, 3, 2, 4], next) },
    build: (o, v) => o.rotate(v.h, o.e.graph.floats(Math.cos(0.7)), o.e.graph.floats(Math.sin(0.7))),
    reference: ({ h }) => {
      const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
      return rows(h, 4).flatMap(([a, b, u, v]) => [a * c - u * s, b * c - v * s, u * c + a * s, v * c + b * s]);
    },
  },
  "polynomial (quad)": {
    inputs: { x },
    build: (o, v) => o.polynomial(v.x, [0.5, 0.25, 0.125]),
    reference: ({ x }) => x.map((z) => 0.5 + 0.25 * z + 0.125 * z * z),
  },
  "polynomial (square)": {
    inputs: { x },
    build: (o, v) => o.polynomial(v.x, [0, 0, 1]),
    reference: ({ x }) => x.map((z) => z * z),
  },
  "polynomial (fourth power)": {
    inputs: { x },
    build: (o, v) => o.polynomial(v.x, [0, 0, 0, 0, 1]),
    reference: ({ x }) => x.map((z) => z ** 4),
  },
  "polynomial (line)": {
    inputs: { x },
    build: (o, v) => o.polynomial(v.x, [2, 3, 0]),
    reference: ({ x }) => x.map((z) => 2 + 3 * z),
  },
  ...Object.fromEntries(
    (["gelu", "gelu-tanh", "silu", "tanh", "exp/4"] as const).map((name) => [
      `smooth (${name})`,
      {
        inputs: { x },
        build: (o, v) => o.smooth(v.x, name),
        reference: ({ x }) => x.map((z) => smoothFunctions[name](z)),
      } satisfies GradientCase,
    ]),
  ),
  relu: {
    inputs: { x },
    build: (o, v) => o.relu(v.x),
    reference: ({ x }) => x.map((z) => Math.max(z, 0)),
  },
  subtractRowMax: {
    inputs: { s },
    build: (o, v) => o.subtractRowMax(v.s),
    reference: ({ s }) => rows(s, 5).flatMap((row) => row.map((z) => z - Math.max(...row))),
  },
  normalise: {
    inputs: { s: { shape: s.shape, data: s.data.map((z) => z * z + 0.1) } },
    build: (o, v) => o.normalise(v.s),
    reference: ({ s }) => rows(s, 5).flatMap((row) => row.map((z) => z / sum(row))),
  },
  rows: {
    inputs: { table: dense([7, 3], next) },
    integers: { ids: { shape: [5, 1], data: [6, 0, 2, 2, 6] } },
    build: (o, v, n) => o.rows(v.table, n("ids")),
    reference: ({ table }) => [6, 0, 2, 2, 6].flatMap((i) => table.slice(i * 3, i * 3 + 3)),
  },
  addPositions: {
    inputs: { h: dense([2, 3, 4], next), table: dense([9, 4], next) },
    build: (o, v) => o.addPositions(v.h, v.table, 2, o.e.graph.ints([3])),
    reference: ({ h, table }) => h.map((z, i) => z + table[(2 + (Math.floor(i / 4) % 3)) * 4 + (i % 4)]),
  },
  first: {
    inputs: { h: dense([2, 3, 4], next) },
    build: (o, v) => o.first(v.h, o.e.graph.ints([3])),
    reference: ({ h }) => [...h.slice(0, 4), ...h.slice(12, 16)],
  },
  combine: {
    inputs: { a: dense([], next), b: dense([], next) },
    build: (o, v) =>
      o.combine([
        [2, v.a],
        [-3, v.b],
      ]),
    reference: ({ a, b }) => [2 * a[0] - 3 * b[0]],
  },
};

const mask = { shape: [4, 1], data: [1, 0, 1, 1] };
const squares = rows(
  y.data.map((z) => z * z),
  6,
);
const distributions = { shape: [4, 6], data: squares.flatMap((r) => r.map((z) => z / sum(r))) };
const losses: Record<string, GradientCase> = {
  "mean squared error of some rows": {
    inputs: { x },
    constants: { mask, target: y },
    build: (o, v, n) => meanSquaredError(o, v.x, n("target"), { mask: n("mask"), count: o.e.graph.floats(18) }),
    reference: ({ x }) => [sum(x.map((z, i) => mask.data[Math.floor(i / 6)] * (z - y.data[i]) ** 2)) / 18],
  },
  "excess over a bound": {
    inputs: { x },
    constants: { mask },
    build: (o, v, n) => excess(o, v.x, 0.7, { mask: n("mask"), count: o.e.graph.floats(18) }),
    reference: ({ x }) => [
      sum(x.map((z, i) => mask.data[Math.floor(i / 6)] * Math.max(Math.abs(z) / 0.7 - 1, 0) ** 2)) / 18,
    ],
  },
  "cross entropy at a temperature": {
    inputs: { x },
    constants: { target: distributions },
    build: (o, v, n) => crossEntropy(o, v.x, n("target"), 2),
    reference: ({ x }) => {
      const target = rows(distributions.data, 6);
      const logs = rows(x, 6).map((r) => r.map((z) => z / 2 - Math.log(sum(r.map((u) => Math.exp(u / 2))))));
      return [-sum(target.map((t, i) => sum(t.map((p, j) => p * logs[i][j])))) / 4];
    },
  },
};

losses["cross entropy of some rows"] = {
  inputs: { x },
  constants: { mask, target: distributions },
  build: (o, v, n) => crossEntropy(o, v.x, n("target"), 1, { mask: n("mask"), count: o.e.graph.floats(3) }),
  reference: ({ x }) => {
    const told = rows(x, 6).map((r, i) => {
      const [log, target] = [Math.log(sum(r.map(Math.exp))), rows(distributions.data, 6)[i]];
      return mask.data[i] * sum(r.map((z, j) => target[j] * (z - log)));
    });
    return [-sum(told) / 3];
  },
};
losses["entropy of tokens, of some rows"] = {
  inputs: { x },
  constants: { mask },
  integers: { tokens: { shape: [4, 1], data: [5, -1, 0, 2] } },
  build: (o, v, n) => tokenEntropy(o, v.x, n("tokens"), 6, { mask: n("mask"), count: o.e.graph.floats(3) }),
  reference: ({ x }) => {
    const told = rows(x, 6).map((r, i) => mask.data[i] * (r[[5, 0, 0, 2][i]] - Math.log(sum(r.map(Math.exp)))));
    return [-sum(told) / 3];
  },
};

losses["sums far from the usual"] = {
  inputs: { s: { shape: s.shape, data: s.data.map((z) => z * z) } },
  constants: { mask: { shape: [2, 1, 3, 1], data: [1, 1, 0, 1, 1, 1] }, usual: { shape: [3, 1], data: [2, 8, 20] } },
  build: (o, v, n) => sumExcess(o, v.s, n("usual"), 1.5, { mask: n("mask"), count: o.e.graph.floats(10) }),
  reference: ({ s }) => {
    const beyond = rows(s, 5).map((row, i) => {
      const own = [1, 1, 0, 1, 1, 1][(i % 3) + 3 * Math.floor(i / 6)];
      return own * Math.max(Math.abs(Math.log(sum(row) / [2, 8, 20][i % 3])) / Math.log(1.5) - 1, 0) ** 2;
    });
    return [sum(beyond) / 10];
  },
};

const heads = { q2: dense([2, 2, 3, 4], next), k2: dense([2, 2, 5, 4], next) };
const columnMask = { shape: [1, 1, 5, 1], data: [1, 1, 0, 1, 1] };
const rowMask = { shape: [1, 1, 3, 1], data: [1, 0, 1] };
const scoreAt = (q: readonly number[], k: readonly number[], at: number) => {
  const [block, i, j] = [Math.floor(at / 15), Math.floor(at / 5) % 3, at % 5];
  return sum(Array.from({ length: 4 }, (_, c) => q[(block * 3 + i) * 4 + c] * k[(block * 5 + j) * 4 + c]));
};
losses["error of scores, by their factors"] = {
  inputs: { q, k },
  constants: { q2: heads.q2, k2: heads.k2, columnMask, rowMask },
  build: (o, v, n) => {
    const theirs = { q: o.tape.constant(n("q2")), k: o.tape.constant(n("k2")), width: 4 };
    const masks = { rows: n("rowMask"), keys: n("columnMask"), count: o.e.graph.floats(7) };
    return scoresError(o, { q: v.q, k: v.k, width: 4 }, theirs, masks);
  },
  reference: ({ q, k }) => {
    const squares = Array.from({ length: 60 }, (_, at) => {
      const counts = rowMask.data[Math.floor(at / 5) % 3] * columnMask.data[at % 5];
      return counts * (scoreAt(q, k, at) - scoreAt(heads.q2.data, heads.k2.data, at)) ** 2;
    });
    return [sum(squares) / 7];
  },
};

const means = (weights: readonly number[], v: readonly number[]) =>
  product(weights, 3, 5, 4, 4, (block, c, j) => v[(block * 5 + c) * 4 + j]);
const positive = { shape: s.shape, data: s.data.map((z) => z * z + 0.5) };
cases["means by weights"] = {
  inputs: { e: positive, v: k },
  build: (o, v) => weightedMeans(o, v.e, v.v),
  reference: ({ e, v }) =>
    means(
      rows(e, 5).flatMap((row) => row.map((z) => z / sum(row))),
      v,
    ),
};
cases["means by weights whose sum is 0"] = {
  inputs: { v: k },
  constants: { e: { shape: s.shape, data: s.data.map(() => 0) } },
  build: (o, v, n) => weightedMeans(o, o.tape.constant(n("e")), v.v),
  reference: () => Array.from({ length: 48 }, () => 0),
};
const softmaxOf = (x: readonly number[]) =>
  rows(x, 5).flatMap((row) => row.map((z) => Math.exp(z) / sum(row.map(Math.exp))));
cases.softmax = {
  inputs: { s },
  build: (o, v) => o.softmax(v.s),
  reference: ({ s }) => softmaxOf(s),
};
cases["means by softmax"] = {
  inputs: { s, v: k },
  build: (o, v) => softmaxMeans(o, v.s, v.v),
  reference: ({ s, v }) => means(softmaxOf(s), v),
};
cases["scores with a shift of every key"] = {
  inputs: { q, k },
  constants: { shift: { shape: [2, 1, 1, 5], data: [5, 5, 0, 5, 0, 5, 5, 5, 5, 0] } },
  build: (o, v, n) => shiftedScores(o, { q: v.q, k: v.k, width: 4 }, n("shift")),
  reference: ({ q, k }) =>
    Array.from({ length: 60 }, (_, at) => {
      const shift = [5, 5, 0, 5, 0, 5, 5, 5, 5, 0][Math.floor(at / 30) * 5 + (at % 5)];
      return scoreAt(q, k, at) + shift;
    }),
};

describe("losses agree with float64, in value and gradient:", () => {
  for (const [name, one] of Object.entries(losses)) it(name, () => checkGradients(one));
});

describe("operators agree with float64, in value and gradient:", () => {
  for (const [name, one] of Object.entries(cases)) it(name, () => checkGradients(one));
});

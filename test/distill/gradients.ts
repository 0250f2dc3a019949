/** Gradients of a graph against central differences of a float64 reference of the same function. */

import { expect } from "vitest";
import { Operators } from "../../src/distill/operators.ts";
import { Session } from "../../src/distill/session.ts";
import { Tape, type Value } from "../../src/distill/tape.ts";

/** A tensor of float64 numbers, row-major. */
export interface Dense {
  readonly shape: readonly number[];
  readonly data: number[];
}

export function dense(shape: readonly number[], next: () => number): Dense {
  return { shape, data: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.fround(next())) };
}

/** Uniform in [-2, 2], the same for a seed. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 30 - 2;
  };
}

export interface GradientCase {
  readonly inputs: Readonly<Record<string, Dense>>;
  /** Inputs that have no gradient, by name. */
  readonly constants?: Readonly<Record<string, Dense>>;
  /** Integer inputs, by name. */
  readonly integers?: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>;
  build(o: Operators, x: Readonly<Record<string, Value>>, n: (name: string) => string): Value;
  /** The same function, in float64. */
  reference(x: Readonly<Record<string, readonly number[]>>): number[];
}

/** Checks the value of an operator and its gradient by every input, for a random direction of the output. */
export async function checkGradients(one: GradientCase): Promise<void> {
  const tape = new Tape();
  const o = new Operators(tape);
  const names = Object.keys(one.inputs);
  const values = Object.fromEntries(
    names.map((name) => [name, { name: tape.graph.input(name, "float32", one.inputs[name].shape), needs: true }]),
  );
  for (const [name, { shape }] of Object.entries(one.integers ?? {})) tape.graph.input(name, "int64", shape);
  for (const [name, { shape }] of Object.entries(one.constants ?? {})) tape.graph.input(name, "float32", shape);
  const y = one.build(o, values, (name) => name);
  const start = Object.fromEntries(names.map((name) => [name, one.inputs[name].data]));
  const expected = one.reference(start);
  const direction = dense([expected.length], uniform(99)).data;
  const flat = o.reshape(y, tape.graph.ints([-1]));
  const loss = tape.record(o.e.total(o.e.op("Mul", flat.name, tape.graph.floats(direction))), [
    [flat, (g) => o.e.op("Mul", tape.graph.floats(direction), g)],
  ]);
  const gradients = tape.gradients(
    loss,
    names.map((name) => values[name]),
  );
  tape.graph.output("value", flat.name, "float32", [expected.length]);
  gradients.forEach((g, i) => {
    if (g === undefined) throw new Error(`no gradient for ${names[i]}`);
    tape.graph.output(`d.${names[i]}`, o.e.op("Add", g, 0), "float32", one.inputs[names[i]].shape);
  });
  const session = await Session.open(tape.graph.encode(), { threads: 1 });
  const feeds = Object.fromEntries([
    ...names.map((name) => [name, session.floats(Float32Array.from(start[name]), one.inputs[name].shape)]),
    ...Object.entries(one.constants ?? {}).map(([name, { data, shape }]) => [
      name,
      session.floats(Float32Array.from(data), shape),
    ]),
    ...Object.entries(one.integers ?? {}).map(([name, { data, shape }]) => [
      name,
      session.integers(BigInt64Array.from(data, BigInt), shape),
    ]),
  ]);
  const results = await session.results(feeds);
  await session.close();
  close([...(results.value.data as Float32Array)], expected, "value");
  for (const name of names) {
    const differences = start[name].map((value, i) => {
      const at = (x: number) =>
        one
          .reference({ ...start, [name]: start[name].map((v, j) => (i === j ? x : v)) })
          .reduce((s, v, k) => s + v * direction[k], 0);
      return (at(value + 1e-5) - at(value - 1e-5)) / 2e-5;
    });
    expect(results[`d.${name}`].dims).toEqual([...one.inputs[name].shape]);
    close([...(results[`d.${name}`].data as Float32Array)], differences, `gradient by ${name}`);
  }
}

function close(actual: readonly number[], expected: readonly number[], what: string): void {
  expect(actual.length, what).toBe(expected.length);
  const size = Math.max(1, ...expected.map(Math.abs));
  actual.forEach((x, i) => {
    expect(Math.abs(x - expected[i]) / size, `${what}[${i}]: ${x}, expected ${expected[i]}`).toBeLessThan(2e-5);
  });
}

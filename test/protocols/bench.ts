/** A workbench for single primitives: small programs built by hand, run by all three parties in this process. */

import { Builder } from "../../src/compiler/builder.ts";
import type { Witness } from "../../src/parties/engine.ts";
import { type SimulationInputs, simulate } from "../../src/parties/simulate.ts";
import { oneTurn, type Program, type StepOf, type Value } from "../../src/program/steps.ts";
import { CLIENT_MASK } from "../../src/protocols/blocks.ts";
import { runClear } from "../../src/protocols/clear.ts";
import type { ClientInput, Party } from "../../src/protocols/sides.ts";
import type { Words } from "../../src/ring/memory.ts";
import type { Prg } from "../../src/ring/prg.ts";
import type { Ring } from "../../src/ring/ring.ts";

/** Signed integers of one input, by the input's value id. */
export type Inputs = ReadonlyMap<number, readonly bigint[]>;

const noWeights = { chunks() {} };

/** A program of `columns` elements whose only input is the client's, and whose result is opened to the server. */
export function bench(
  columns: number,
  bound: number,
  build: (b: Builder, x: Value) => Value,
): { program: Program; input: Value } {
  const b = new Builder();
  const input = b.add({ kind: "input", source: "mask", after: null }, b.value("x", 1, columns, 1, bound, "masked"));
  return { program: b.finish(oneTurn(1), [build(b, input)]), input };
}

/** An opened value in the middle of a program, as a share: x times one, so that any opening can follow. */
export function shareOf(b: Builder, x: Value): Value {
  const out = b.value("share", x.rows, x.columns, x.scale, x.bound, "share");
  return b.add(
    {
      kind: "polynomial",
      variables: [{ x: x.id, kind: "lifted", repeat: 1, room: 0 }],
      monomials: [{ coefficient: 1, degrees: [1] }],
      addends: [],
      constant: 0,
      rowSum: false,
    },
    out,
  );
}

function put(out: Words, values: readonly bigint[]): void {
  const view = new BigInt64Array(out.bytes().buffer, out.pointer, out.length);
  for (const [i, v] of values.entries()) view[i] = v;
}

export function read(words: Words): bigint[] {
  return [...new BigUint64Array(words.bytes().buffer, words.pointer, words.length)];
}

export function signed(x: bigint, bits: number): bigint {
  return BigInt.asIntN(bits, x);
}

const WITHOUT_WEIGHTS = {
  apply() {},
  applyHead() {},
  distances: () => {
    throw new Error("no distances");
  },
  bias: () => null,
};

function inputOf(program: Program, inputs: Inputs): ClientInput {
  const rows = program.shape.length;
  const fill = (out: Words, step: StepOf<"input">) => put(out, inputs.get(step.out) ?? []);
  return { fill, take: () => {}, isOwn: (row) => row < rows };
}

/** The answer's integers in the clear. */
export function inClear(ring: Ring, program: Program, inputs: Inputs, rounding?: Prg): number[] {
  const { scale } = program.values[program.answers[0]];
  const { logits } = runClear(ring, program, WITHOUT_WEIGHTS, inputOf(program, inputs), { rounding });
  return logits.map((x) => x * scale);
}

export async function run(
  ring: Ring,
  program: Program,
  inputs: Inputs,
  witness?: Witness,
  offlineWitness?: SimulationInputs["offlineWitness"],
): Promise<{ client: Party; server: Party; close(): void }> {
  return simulate(ring, program, {
    input: inputOf(program, inputs),
    weights: WITHOUT_WEIGHTS,
    maskedWeights: noWeights,
    weightMasks: noWeights,
    witness,
    offlineWitness,
  });
}

/** The value that a masked or held result of an opening stands for: x̂ less the parts of its mask, mod 2^ring. */
export function unmasked(parties: { client: Party; server: Party }, value: Value): bigint[] {
  const opened = read(parties.server.get("public", value.id));
  const masks =
    value.form === "held"
      ? [clientMask(parties.client, value)]
      : [parties.client, parties.server].map((p) => read(p.get("mask", value.id)));
  return opened.map((x, i) =>
    signed(
      masks.reduce((rest, m) => rest - m[i], x),
      value.ring,
    ),
  );
}

/** The client's mask of a value that the server alone holds: online the client never needs it. */
function clientMask(client: Party, value: Value): bigint[] {
  const step = client.program.steps.find((s) => s.out === value.id);
  const mask = client.ring.alloc(value.rows * value.columns);
  client.withDealer.words(client.ring, mask, step!.id, CLIENT_MASK, value.ring);
  const drawn = read(mask);
  client.ring.free(mask);
  return drawn;
}

/** The sum of two additive shares mod 2^ring, signed. */
export function joined(parties: { client: Party; server: Party }, value: Value): bigint[] {
  const [a, b] = [read(parties.client.get("share", value.id)), read(parties.server.get("share", value.id))];
  return a.map((x, i) => signed(BigInt.asUintN(value.ring, x + b[i]), value.ring));
}

/** Reproducible numbers: xorshift on 64 bits. */
export function random(seed: bigint): () => bigint {
  let s = BigInt.asUintN(64, seed * 0x9e3779b97f4a7c15n + 1n);
  return () => {
    s ^= BigInt.asUintN(64, s << 13n);
    s ^= s >> 7n;
    s ^= BigInt.asUintN(64, s << 17n);
    return s;
  };
}

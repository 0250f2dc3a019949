/** Decoders end to end, all parties in one process: scoring, turns on remembered keys, choices, costs. */
import { describe, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { turnsOf } from "../../src/models/model.ts";
import type { ModelSpec, TokenizedText } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { type Harness, harness } from "./harness.ts";

const DECODER = {
  types: 1,
  labels: 60,
  labelNames: [],
  problem: "generation",
  epsilon: 1e-5,
} satisfies Partial<ModelSpec>;

const FAMILIES: Readonly<Record<string, Partial<ModelSpec>>> = {
  gpt2: { ...DECODER, ...baseOf("gpt2"), gelu: "tanh", softmax: "exact" },
  "opt, norms first": { ...DECODER, ...baseOf("opt"), gelu: "relu", softmax: "exact", positionOffset: 2 },
  "opt, norms last": {
    ...DECODER,
    ...baseOf("opt"),
    gelu: "relu",
    softmax: "2relu",
    positionOffset: 2,
    blocks: { ...baseOf("opt").blocks, normPlace: "after", finalNorm: false },
  },
  llama: { ...DECODER, ...baseOf("llama"), gelu: "exact", softmax: "exact", keyHeads: 2 },
  "a llama with norms of queries and keys": {
    ...DECODER,
    ...baseOf("qwen3"),
    gelu: "exact",
    softmax: "exact",
    keyHeads: 2,
  },
  "a quad llama": { ...DECODER, ...baseOf("llama"), gelu: "quad", softmax: "2quad:5", keyHeads: 2 },
};

const TURNS = 4;

/** The logits of each turn in floats, when the largest is chosen each time. */
function greedy(h: Harness, text: TokenizedText): { tokens: number[]; logits: number[][] } {
  const tokens: number[] = [];
  const choose = (logits: Float32Array) => {
    tokens.push(logits.indexOf(Math.max(...logits)));
    return tokens[tokens.length - 1];
  };
  const logits: number[][] = [];
  for (const turn of turnsOf(new FloatOps(h.weights, text, text.ids.length, { choose }), h.spec)) {
    logits.push([...turn.data.slice(-h.spec.vocabulary)]);
    if (logits.length === TURNS) break;
  }
  return { tokens, logits };
}

describe("a decoder under MPC", () => {
  for (const [name, spec] of Object.entries(FAMILIES)) {
    it.each(["public", "private"] as const)(
      `${name}: continues a text as in floats, %s embedding`,
      async (embedding) => {
        const h = await harness({ ...spec, embedding }, { ...oneTurn(16), turns: TURNS });
        const text = randomText(h.spec, 11, 7);
        const float = greedy(h, text);
        const seen: number[][] = [];
        // The tokens of the float run: nearly equal logits must not lead to another text.
        const choose = (logits: readonly number[]) => {
          seen.push([...logits]);
          return float.tokens[seen.length - 1];
        };
        const clear = h.clear(text, { choose });
        expect(clear.violations).toEqual([]);
        near([...seen.splice(0), [...clear.logits]], float.logits, 0.05);
        const { logits, run } = await h.secure(text, undefined, undefined, choose);
        near([...seen, logits], float.logits, 0.05);
        const cost = costOf(h.program);
        expect(run.channel.onlineFlights).toBe(cost.online.flights);
        expect(run.channel.sent.online.bytes).toBe(cost.online.bytes.client_to_server);
        expect(run.channel.received.online.bytes).toBe(cost.online.bytes.server_to_client);
        run.close();
      },
    );
  }

  it("scores every position of a text", async () => {
    const h = await harness({ ...FAMILIES.llama, embedding: "public" }, { ...oneTurn(16), scoring: true });
    const text = randomText(h.spec, 9, 3);
    const { logits, run } = await h.secure(text);
    near([logits.slice(-9 * h.spec.vocabulary)], [h.float(text)], 0.05);
    run.close();
  });

  it("costs as many flights and bytes in every later turn", async () => {
    const h = await harness({ ...FAMILIES.gpt2, embedding: "public" }, { ...oneTurn(16), turns: 12 });
    const [prompt, second, ...later] = costOf(h.program).turns;
    for (const turn of later) expect(turn).toEqual(second);
    expect(second.bytes.client_to_server).toBeLessThan(prompt.bytes.client_to_server / 4);
  });

  it("ends when the client says so", async () => {
    const h = await harness({ ...FAMILIES.gpt2, embedding: "public" }, { ...oneTurn(8), turns: TURNS });
    let turns = 0;
    const { run } = await h.secure(randomText(h.spec, 8, 1), undefined, undefined, () => (++turns === 2 ? null : 5));
    expect(turns).toBe(2);
    const [first, second] = costOf(h.program).turns;
    expect(run.channel.onlineFlights).toBe(first.flights + second.flights);
    run.close();
  });

  it("samples tokens under MPC as a softmax with a temperature does", async () => {
    const [turns, runs, temperature] = [24, 12, 1.5];
    const decoder = {
      ...FAMILIES.llama,
      answer: "label",
      embedding: "public",
      vocabulary: 12,
      labels: 12,
      layers: 1,
    } as const;
    const louder = (name: string, data: Float32Array) => (name === "head.weight" ? data.map((x) => 25 * x) : data);
    const shape = { ...oneTurn(4), turns, temperature };
    const h = await harness(decoder, shape, undefined, undefined, louder);
    const text = randomText(h.spec, 4, 2);
    // Every run goes on with the same tokens, so that each turn's distribution is known.
    const forced = (turn: number) => (5 * turn) % 12;
    const counts = Array.from({ length: 12 }, () => 0);
    for (let i = 0; i < runs; i++) {
      let turn = 0;
      const { run } = await h.secure(text, undefined, undefined, ([token]) => {
        counts[token]++;
        return forced(turn++);
      });
      run.close();
    }
    let at = 0;
    const expected = counts.map(() => 0);
    for (const { data } of turnsOf(new FloatOps(h.weights, text, 4, { choose: () => forced(at++) }), h.spec)) {
      const powers = [...data].map((x) => Math.exp(x / temperature));
      const all = powers.reduce((a, b) => a + b);
      powers.forEach((p, k) => {
        expected[k] += (runs * p) / all;
      });
      if (at === turns - 2) break;
    }
    const total = counts.reduce((a, b) => a + b);
    // The last turn's token is the run's answer, not a choice.
    expect(total).toBe(runs * (turns - 1));
    const scale = total / expected.reduce((a, b) => a + b);
    const chi = counts.reduce((sum, c, k) => sum + (c - scale * expected[k]) ** 2 / (scale * expected[k]), 0);
    // 11 degrees of freedom: above 50 once in two million runs.
    expect(chi).toBeLessThan(50);
    expect(Math.max(...expected) / Math.min(...expected)).toBeGreaterThan(2);
  });

  it("tells the next token alone", async () => {
    const h = await harness(
      { ...FAMILIES.llama, answer: "label", embedding: "public" },
      { ...oneTurn(8), turns: TURNS },
    );
    const text = randomText(h.spec, 6, 2);
    const float = greedy(h, text);
    const tokens: number[] = [];
    const { logits, run } = await h.secure(text, undefined, undefined, ([token]) => {
      tokens.push(token);
      return token;
    });
    expect(tokens).toEqual(float.tokens);
    expect(logits).toHaveLength(1);
    run.close();
  });
});

function near(
  given: readonly (readonly number[])[],
  expected: readonly (readonly number[])[],
  tolerance: number,
): void {
  expect(given).toHaveLength(expected.length);
  given.forEach((row, turn) => {
    expect(row).toHaveLength(expected[turn].length);
    const error = Math.max(...row.map((x, i) => Math.abs(x - expected[turn][i])));
    expect(error, `turn ${turn}`).toBeLessThan(tolerance);
  });
}

/**
 * What each party sees is uniform, whatever the text: chi-square on the bytes of every message, split by the step that
 * sends it, over sessions with one constant text; and on the differences between sessions. Planted faults must fail.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { protocolOf } from "../../src/protocols/all.ts";
import type { Choose } from "../../src/protocols/clear.ts";
import { blockBytes } from "../../src/protocols/cost.ts";
import { type Block, CLIENT_MASK, SERVER_MASK } from "../../src/protocols/protocol.ts";
import { Prg } from "../../src/ring/prg.ts";
import { type Harness, harness } from "../parties/harness.ts";

/** False alarms over the whole family of tests: at most about one in a million runs. */
const Z = 6.5;

type Views = Map<string, Uint8Array[]>;

/** `broken`: a planted fault may also void the answer; the views count all the same. */
async function collect(h: Harness, sessions: number, broken = false, choose?: Choose): Promise<Views> {
  const views: Views = new Map();
  const see = (key: string, bytes: Uint8Array, blocks: readonly Block[]) => {
    let at = 0;
    blocks.forEach((block, i) => {
      const name = `${key}, block ${i}`;
      views.set(name, [...(views.get(name) ?? []), bytes.slice(at, at + blockBytes(block))]);
      at += blockBytes(block);
    });
  };
  const trafficOf = (id: number) => protocolOf(h.program.steps[id]).traffic(h.program.steps[id], h.program);
  const text = randomText(h.spec, 11, 3);
  for (let i = 0; i < sessions; i++) {
    const witness = (flight: number, from: "client" | "server", message: Uint8Array) => {
      let at = 0;
      for (const id of h.program.slots[flight].opens) {
        const block = from === "client" ? trafficOf(id).fromClient : trafficOf(id).fromServer;
        if (block === undefined) continue;
        see(`${h.program.steps[id].kind} ${id} from ${from}`, message.subarray(at), [block]);
        at += blockBytes(block);
      }
    };
    const offline = (from: "dealer" | "client", step: number, packed: Uint8Array) => {
      const traffic = trafficOf(step);
      see(`offline ${step} from ${from}`, packed, from === "dealer" ? traffic.dealt! : [traffic.ahead!]);
    };
    try {
      (await h.secure(text, witness, offline, choose)).run.close();
    } catch (error) {
      if (!broken) throw error;
    }
  }
  return views;
}

/** The largest standardised chi-square (Wilson-Hilferty) over all messages of one kind, of bytes and of differences. */
function worst(views: Views): { key: string; z: number } {
  let result = { key: "", z: Number.NEGATIVE_INFINITY };
  for (const [key, messages] of views) {
    const differences = messages.slice(1).map((m, i) => m.map((x, j) => (x - messages[i][j]) & 255));
    for (const [name, list] of [
      [key, messages],
      [`${key}, differences`, differences],
    ] as const) {
      const z = deviation(list);
      if (z > result.z) result = { key: name, z };
    }
  }
  return result;
}

function deviation(messages: readonly Uint8Array[]): number {
  // The last byte of a bit stream may be padded.
  const counts = new Float64Array(256);
  let total = 0;
  for (const m of messages) {
    for (let i = 0; i + 1 < m.length; i++) counts[m[i]]++;
    total += Math.max(0, m.length - 1);
  }
  // Few bytes: 16 bins of the high half of a byte, so that each expects enough.
  const bins =
    total >= 256 * 8
      ? counts
      : Float64Array.from({ length: 16 }, (_, b) => counts.slice(16 * b, 16 * b + 16).reduce((x, y) => x + y));
  if (total < 16 * 8) return 0;
  const expected = total / bins.length;
  const chi = bins.reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0);
  const df = bins.length - 1;
  return (Math.cbrt(chi / df) - (1 - 2 / (9 * df))) / Math.sqrt(2 / (9 * df));
}

/** Replaces how masks are drawn; everything else stays. */
function plant(change: (stream: number, purpose: number, bits: number) => { stream: number; bits: number }): void {
  const original = Prg.prototype.words;
  vi.spyOn(Prg.prototype, "words").mockImplementation(function (this: Prg, ring, out, stream, purpose, bits = 64) {
    const planted = change(stream, purpose, bits);
    original.call(this, ring, out, planted.stream, purpose, planted.bits);
  });
}

/** Stream 0 is the weights' R; steps count from there, the first being an input. */
const isMask = (stream: number, purpose: number) => stream > 0 && (purpose === CLIENT_MASK || purpose === SERVER_MASK);

afterEach(() => vi.restoreAllMocks());

describe("views", () => {
  it.each([
    ["quad", "2quad:5", "private"],
    ["exact", "exact", "public"],
    ["relu", "2relu", "public"],
  ] as const)("are uniform for a constant text: %s, %s, %s", async (gelu, softmax, embedding) => {
    const views = await collect(await harness({ gelu, softmax, embedding }, 16), 10);
    expect(views.size).toBeGreaterThan(60);
    const { key, z } = worst(views);
    expect(z, key).toBeLessThan(Z);
  });

  it.each([
    ["llama", { gelu: "exact", softmax: "exact", embedding: "private", keyHeads: 2, rotary: 10_000 }, 0],
    ["gpt2", { gelu: "tanh", softmax: "2quad:5", embedding: "public", answer: "label" }, 0.7],
  ] as const)(
    "are uniform for a text and its continuation: %s, %j, temperature %d",
    async (architecture, spec, temperature) => {
      const decoder = {
        ...spec,
        architecture,
        normFirst: true,
        types: 1,
        labels: 60,
        labelNames: [],
        problem: "generation",
      } as const;
      const h = await harness(decoder, { ...oneTurn(16), turns: 3, temperature });
      const views = await collect(h, 10, false, () => 7);
      expect(views.size).toBeGreaterThan(150);
      const { key, z } = worst(views);
      expect(z, key).toBeLessThan(Z);
    },
  );

  it("a mask four bits short is seen", async () => {
    const h = await harness({}, 16);
    plant((stream, purpose, bits) => ({ stream, bits: isMask(stream, purpose) && bits > 8 ? bits - 4 : bits }));
    expect(worst(await collect(h, 4, true)).z).toBeGreaterThan(Z);
  });

  it("one mask used in two sessions is seen", async () => {
    const h = await harness({}, 16);
    const kept = new Prg(new Uint8Array(16));
    const original = Prg.prototype.words;
    vi.spyOn(Prg.prototype, "words").mockImplementation(function (this: Prg, ring, out, stream, purpose, bits = 64) {
      original.call(isMask(stream, purpose) ? kept : this, ring, out, stream, purpose, bits);
    });
    const { key, z } = worst(await collect(h, 4, true));
    expect(z).toBeGreaterThan(Z);
    expect(key).toContain("differences");
  });

  it("a Fourier mask below the period, opened without the reduction, is seen", async () => {
    const h = await harness({ gelu: "exact" }, 16);
    const fourier = h.program.steps.filter((s) => s.kind === "fourier");
    const opened = new Map(fourier.map((s) => [s.x, s.periodBits]));
    const opens = new Map(h.program.steps.filter((s) => opened.has(s.out)).map((s) => [s.id, opened.get(s.out)!]));
    expect(opens.size).toBeGreaterThan(0);
    // The sum x + t is sent with two bits above the period; t itself stays below it.
    for (const [id, period] of opens) h.program.values[h.program.steps[id].out].ring = period + 2;
    plant((stream, purpose, bits) => {
      const period = opens.get(stream);
      return { stream, bits: period !== undefined && isMask(stream, purpose) ? Math.min(bits, period) : bits };
    });
    const views = await collect(h, 12, true);
    const ofFourier = new Map(
      [...views].filter(([key]) => [...opens.keys()].some((id) => key.startsWith(`open ${id} from server`))),
    );
    expect(worst(ofFourier).z).toBeGreaterThan(Z);
  });
});

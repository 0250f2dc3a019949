/** Thin clients: the right answer without computing, and what helper and server see of the text. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import { LentCovers } from "../../src/parties/lent-covers.ts";
import { TextInput } from "../../src/parties/text.ts";
import { ThinClient } from "../../src/parties/thin.ts";
import { CarriedInput, coveredSteps } from "../../src/protocols/cover.ts";
import { Party } from "../../src/protocols/sides.ts";
import { hex } from "../../src/ring/hex.ts";
import type { Words } from "../../src/ring/memory.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Secret } from "../../src/ring/secret.ts";
import { byteExcess, differences, Z } from "../protocols/statistics.ts";
import { TINY_VECTOR } from "./harness.ts";
import { World } from "./world.ts";

let here: World;
beforeEach(async () => {
  here = await World.create();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await here.close();
});

describe("a thin client", () => {
  it.each([
    { embedding: "private", softmax: "2quad:5", answer: "scores" },
    { embedding: "public", softmax: "2quad:5", answer: "scores" },
    { embedding: "private", softmax: "exact", answer: "scores" },
    { embedding: "public", softmax: "2relu", answer: "label" },
    { embedding: "public", softmax: "2quad:5", answer: "scores", ...TINY_VECTOR },
  ] as const)("gets the answer that the model gives: %j", async (variant) => {
    const w = await here.services({ spec: variant });
    const h = await here.helper(w);
    const thin = await h.connect();
    for (const tokens of [5, 8, 13]) {
      const text = randomText(w.spec, tokens, 40 + tokens);
      const { logits, length, flights, bytes } = await thin.infer(text);
      const expected = w.float(text, length);
      if (variant.answer === "label") expect(logits).toEqual([expected.indexOf(Math.max(...expected))]);
      else for (const [i, x] of expected.entries()) expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
      expect(flights).toBeGreaterThan(10);
      // All that a phone sends and gets, but for the tables of a public embedding.
      if (tokens > 5) expect(bytes.sent + bytes.received).toBeLessThan(40_000);
    }
    await thin.close();
    await expect.poll(() => [h.helper.admission.connections, w.server.admission.connections]).toEqual([0, 0]);
    expect([h.ring.memory.bytesInUse, h.helperRing.memory.bytesInUse]).toEqual([0, 0]);
    expect(here.failures).toEqual([]);
  });

  it("is not helped into another model", async () => {
    const [w, other] = [await here.services(), await here.services()];
    const h = await here.helper(w);
    const thin = await ThinClient.connect(h.ring, await here.dial(other.serverPort, "server"), () =>
      here.dial(h.port, "helper"),
    );
    await expect(thin.infer(randomText(w.spec, 8, 3))).rejects.toThrow(/asks another model/);
    expect(thin.closed).toBe(true);
  });

  it("is answered by no server that lacks the covers, rather than wrongly", async () => {
    vi.spyOn(LentCovers.prototype, "take").mockReturnValue(undefined);
    const w = await here.services();
    const thin = await (await here.helper(w)).connect();
    await expect(thin.infer(randomText(w.spec, 8, 3))).rejects.toThrow(/covers of a carried text are not here/);
  });

  it("is told that the helper reaches nobody, and not where it looked", async () => {
    const w = await here.services();
    const h = await here.helper({ serverPort: 9, dealerPort: w.dealerPort });
    const thin = await ThinClient.connect(h.ring, await here.dial(w.serverPort, "server"), () =>
      here.dial(h.port, "helper"),
    );
    const told = await thin.infer(randomText(w.spec, 8, 3)).catch((error: Error) => error.message);
    expect(told).toMatch(/the helper cannot reach the server/);
    expect(told).not.toMatch(/127\.0\.0\.1|:9/);
  });

  it("gives all memory back when its text cannot be put in", async () => {
    const w = await here.services({ spec: { embedding: "public" } });
    const h = await here.helper(w);
    const thin = await h.connect();
    vi.spyOn(TextInput.prototype, "fill").mockImplementation(() => {
      throw new Error("the text lies outside the plan's range");
    });
    await expect(thin.infer(randomText(w.spec, 8, 3))).rejects.toThrow(/outside the plan/);
    expect(h.ring.memory.bytesInUse).toBe(0);
  });
});

describe("a helper's view", () => {
  /** What a helper was given and what it gave back, for these texts in turn. */
  async function views(texts: readonly (readonly number[])[]): Promise<{ given: Uint8Array[][]; back: Uint8Array[] }> {
    const w = await here.services();
    const thin = await (await here.helper(w)).connect();
    const given: Uint8Array[][] = [];
    const back: Uint8Array[] = [];
    const fill = CarriedInput.prototype.fill;
    vi.spyOn(CarriedInput.prototype, "fill").mockImplementation(function (this: CarriedInput, out: Words, step) {
      fill.call(this, out, step);
      given.at(-1)!.push(out.bytes().slice());
    });
    const get = Party.prototype.get;
    vi.spyOn(Party.prototype, "get").mockImplementation(function (this: Party, slot, id) {
      const words = get.call(this, slot, id);
      if (slot === "public" && this.input instanceof CarriedInput && this.program.answers.includes(id))
        back.push(words.bytes().slice());
      return words;
    });
    for (const ids of texts) {
      given.push([]);
      await thin.infer({ ids, types: ids.map(() => 0) });
    }
    await thin.close();
    return { given, back };
  }

  /** The low 8 bits of each word: what every ring has. */
  const low = (bytes: Uint8Array) => bytes.filter((_, i) => i % 8 < 1);

  it("is uniform, and another one each time, whatever the text", async () => {
    const constant = Array.from({ length: 6 }, () => 7);
    const { given, back } = await views(Array.from({ length: 12 }, () => constant));
    const inputs = given.map((run) => low(Buffer.concat(run)));
    expect(byteExcess(inputs)).toBeLessThan(Z);
    expect(byteExcess(differences(inputs))).toBeLessThan(Z);
    expect(back.length).toBe(12);
    // The same answer twelve times, under twelve covers.
    expect(new Set(back.map((words) => hex(low(words)))).size).toBe(12);
  });

  it("has the same sizes for texts of one padded length", async () => {
    const { given } = await views([
      [5, 6],
      [9, 8, 7, 6, 5, 4, 3, 2],
    ]);
    expect(given[0].map((x) => x.length)).toEqual(given[1].map((x) => x.length));
  });
});

describe("lent covers", () => {
  it("serve one session once, and go with their owner", async () => {
    const w = await here.services();
    const [a, b] = [await here.dial(w.serverPort, "server"), await here.dial(w.serverPort, "server")];
    const covers = new LentCovers();
    const seed = new Secret(randomKey());
    covers.lend(a, "one", seed);
    covers.lend(b, "two", seed);
    expect(() => covers.lend(b, "one", seed)).toThrow(/has its covers already/);
    covers.end(a);
    expect(covers.take("one")).toBeUndefined();
    expect(covers.take("two")).toBeDefined();
    expect(covers.take("two")).toBeUndefined();
    for (let i = 0; i < 64; i++) covers.lend(a, `${i}`, seed);
    expect(() => covers.lend(a, "more", seed)).toThrow(/at most 64/);
    a.close();
    b.close();
  });

  it("are drawn for every place where the text enters", async () => {
    const w = await here.services();
    const { compile } = await import("../../src/compiler/compile.ts");
    const { oneTurn } = await import("../../src/program/steps.ts");
    const program = compile(w.spec, w.plan, { ...oneTurn(8), carried: true });
    const kinds = coveredSteps(program).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "input").length).toBe(
      program.steps.filter((s) => s.kind === "input").length,
    );
    expect(kinds).toContain("entry");
  });
});

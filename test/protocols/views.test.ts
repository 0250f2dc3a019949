/**
 * What each party sees is uniform, whatever the text: the short form of `npm run long -- views`. Faults that these checks must
 * find are planted in leaks.test.ts.
 */
import { afterEach, describe, expect, it, vi } from "vitest";
import { CLIENT_MASK } from "../../src/protocols/blocks.ts";
import { Prg } from "../../src/ring/prg.ts";
import { harness } from "../parties/harness.ts";
import { collect } from "./collect.ts";
import { FAMILIES } from "./families.ts";
import { auc, byteExcess, familyThreshold, normalTail, worst, Z } from "./statistics.ts";
import { twins } from "./twins.ts";

/** Sessions of two texts: enough that a classifier which is right is seen to be. */
const TWINS = 100;
/** Standard deviations that chance passes once in a million. */
const CHANCE = 4.9;

afterEach(() => vi.restoreAllMocks());

describe("views are uniform for a constant text", () => {
  it.each(FAMILIES)("$name", async ({ spec, shape }) => {
    const views = await collect(await harness(spec, shape), 10, { choose: () => 7 });
    expect(views.size).toBeGreaterThan(90);
    const { key, z } = worst(views);
    expect(z, key).toBeLessThan(Z);
  });
});

describe("two texts of one padded length", () => {
  it("give sessions alike, frame by frame, and views that a classifier cannot tell apart", async () => {
    const { shapes, server, dealer } = await twins(await harness({ layers: 1 }, 16), TWINS);
    expect(shapes).toBe(1);
    for (const view of [server, dealer]) expect(Math.abs(view.auc - 0.5)).toBeLessThan(CHANCE * view.deviation);
  });

  it("are told apart by the same classifier where the client's masks are missing", async () => {
    const h = await harness({ layers: 1 }, 16);
    const original = Prg.prototype.words;
    vi.spyOn(Prg.prototype, "words").mockImplementation(function (this: Prg, ring, out, stream, purpose, bits = 64) {
      if (stream > 0 && purpose === CLIENT_MASK) ring.zero(out);
      else original.call(this, ring, out, stream, purpose, bits);
    });
    const { server } = await twins(h, TWINS);
    expect(server.auc - 0.5).toBeGreaterThan(CHANCE * server.deviation);
  });
});

describe("the statistics", () => {
  it("find a bias of one part in thirty, and no fault in the operating system's bytes", () => {
    const bytes = new Uint8Array(60_000);
    crypto.getRandomValues(bytes);
    expect(Math.abs(byteExcess([bytes]))).toBeLessThan(Z);
    expect(byteExcess([bytes.map((x, i) => (i % 30 === 0 ? 0 : x))])).toBeGreaterThan(Z);
    expect(byteExcess([bytes.map((_, i) => i)])).toBeLessThan(-Z);
  });

  it("know the normal distribution and ranks", () => {
    expect(normalTail(1.959964)).toBeCloseTo(0.025, 6);
    expect(normalTail(4.753424) / 1e-6).toBeCloseTo(1, 3);
    expect(familyThreshold(1, 1e-6)).toBeCloseTo(4.753424, 4);
    expect(auc([1, 2, 2], [2, 3]).auc).toBeCloseTo(5 / 6, 9);
  });
});

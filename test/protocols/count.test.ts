/** Near maxima by counting, against an exact integer simulator, bit for bit, and against the maxima themselves. */
import { beforeAll, describe, expect, it } from "vitest";
import { Builder } from "../../src/compiler/builder.ts";
import { nearMax } from "../../src/compiler/comparison.ts";
import { oneTurn, type Program, type Value } from "../../src/program/steps.ts";
import { trafficOf } from "../../src/protocols/all.ts";
import { CLIENT_MASK } from "../../src/protocols/blocks.ts";
import { countBits } from "../../src/protocols/count.ts";
import { Ring } from "../../src/ring/ring.ts";
import { joined, random, read, run } from "./bench.ts";

let ring: Ring;
beforeAll(async () => {
  ring = await Ring.create();
});

/** Rows of values from `least` to `largest`, the extremes among them. */
function draw(rows: number, columns: number, [least, largest]: readonly [number, number], seed: bigint): bigint[] {
  const next = random(seed);
  const span = BigInt(largest - least + 1);
  const values = Array.from({ length: rows * columns }, () => BigInt(least) + (next() % span));
  values[0] = BigInt(largest);
  for (let i = columns; i < 2 * columns; i++) values[i] = BigInt(least);
  return values;
}

async function masksOf(parties: Awaited<ReturnType<typeof run>>, x: Value): Promise<bigint[]> {
  const mask = parties.client.ring.alloc(x.rows * x.columns);
  parties.client.withDealer.words(ring, mask, 0, CLIENT_MASK, x.ring);
  const words = read(mask);
  ring.free(mask);
  return words;
}

function inputOf(b: Builder, rows: number, columns: number, bound: number): Value {
  return b.add({ kind: "input", source: "mask", after: null }, b.value("x", rows, columns, 1, bound, "masked"));
}

describe.each([
  { rows: 40, columns: 16, bits: 10, unitBits: 4, range: [-300, 690] },
  // More than a lane of eight bits can count.
  { rows: 3, columns: 300, bits: 9, unitBits: 6, range: [-200, 250] },
] as const)("$rows rows of $columns values, places of 2^$unitBits", ({ rows, columns, bits, unitBits, range }) => {
  const places = 2 ** (bits - unitBits);
  const width = countBits(columns);
  const counted = () => {
    const b = new Builder();
    const x = inputOf(b, rows, columns, 1000);
    const share = b.value("counts", rows, places - 1, 1, columns, "share");
    b.add({ kind: "counts", x: x.id, bits, unitBits, least: range[0] }, Object.assign(share, { ring: width }));
    return { program: b.finish(oneTurn(1), [share]), x, share };
  };

  it("are counted as the simulator counts them, whatever carries", async () => {
    const { program, x, share } = counted();
    const values = draw(rows, columns, range, 5n);
    const parties = await run(ring, program, new Map([[x.id, values]]));
    const masks = await masksOf(parties, x);
    const found = joined(parties, share).map((n) => BigInt.asUintN(width, n));
    parties.close();
    const place = (v: bigint, r: bigint) => {
      const at = (y: bigint) => Number(BigInt.asUintN(bits, y) >> BigInt(unitBits));
      return (at(v + r - BigInt(range[0])) - at(r) + places) % places;
    };
    const expected = Array.from({ length: rows * (places - 1) }, (_, i) => {
      const [row, v] = [Math.floor(i / (places - 1)), i % (places - 1)];
      let above = 0;
      for (let j = row * columns; j < (row + 1) * columns; j++) if (place(values[j], masks[j]) > v) above++;
      return BigInt(above);
    });
    expect(found).toEqual(expected);
  });

  it("cost a lane for each value and place, and nothing online", () => {
    const { program } = counted();
    const step = program.steps.find((s) => s.kind === "counts")!;
    const lane = columns < 256 ? 8 : 16;
    expect(trafficOf(step, program)).toEqual({ dealt: [{ length: (rows * columns * places * lane) / 64, bits: 64 }] });
  });
});

describe("nonzero", () => {
  it.each([3, 5, 8, 9])("tells zero from every other value of %i bits", async (bits) => {
    const size = 2 ** bits;
    const values = Array.from({ length: 12 * size }, (_, i) => BigInt(i % size));
    const b = new Builder();
    const x = Object.assign(inputOf(b, 1, values.length, 1), { ring: bits });
    const out = b.bits("bit", 1, values.length, 1);
    b.add({ kind: "nonzero", x: x.id, bits }, out);
    const program = b.finish(oneTurn(1), [out]);
    const parties = await run(ring, program, new Map([[x.id, values]]));
    const [client, server] = [parties.client, parties.server].map((p) => read(p.get("share", out.id)));
    expect(client.map((c, i) => c ^ server[i])).toEqual(values.map((v) => (v === 0n ? 0n : 1n)));
    parties.close();
  });
});

describe("nearMax", () => {
  const [rows, columns] = [60, 24];
  const made = (range: readonly [number, number], unit: number) => {
    const b = new Builder();
    const x = inputOf(b, rows, columns, 4000);
    const near = nearMax(b, x, range, unit);
    if (near === null) return null;
    const { above, least } = near;
    const program: Program = b.finish(oneTurn(1), [Object.assign(above, { ring: 20 })]);
    return { program, x, above, least };
  };

  it.each([4, 11, 100])("is a row's maximum to less than %i, both ways", async (unit) => {
    const range = [-2100, 900] as const;
    const { program, x, above, least } = made(range, unit)!;
    const values = draw(rows, columns, range, 9n);
    const parties = await run(ring, program, new Map([[x.id, values]]));
    const found = joined(parties, above).map((m) => Number(m) / above.scale + least);
    parties.close();
    found.forEach((m, row) => {
      const max = Math.max(...values.slice(row * columns, (row + 1) * columns).map(Number));
      expect(Math.abs(m - max), `row ${row}`).toBeLessThanOrEqual(unit);
    });
    expect(new Set(found).size).toBeGreaterThan(3);
  });

  it("is refused where there were too many places", () => {
    expect(made([-4000, 4000], 1)).toBeNull();
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { floatToHalf, halfToFloat } from "../../src/models/half.ts";
import { bytesSource, readHeader, readTensor, writeSafetensors } from "../../src/models/safetensors.ts";

/** A file of this header text and body. */
function file(header: string, body = new Uint8Array(0), length?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
}

/** A file of one tensor `w` of 8 bytes, F32 [2], with these fields instead. */
function tensor(fields: Record<string, unknown>, body = new Uint8Array(8)): Uint8Array {
  return file(JSON.stringify({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...fields } }), body);
}

const read = async (bytes: Uint8Array) => readHeader(bytesSource(bytes), "model.safetensors");
const secret = "SECRET";

const malformed: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ["an empty file", new Uint8Array(0), /too short/],
  ["a file of a length alone", file("").slice(0, 8), /too short/],
  ["a header beyond the file", file("{}", undefined, 100n), /does not fit/],
  ["a header of 2^63 bytes", file("{}", undefined, 2n ** 63n), /longer than/],
  ["a header of 17 MB", file("{}", undefined, 17n * 2n ** 20n), /longer than/],
  ["a header that is not JSON", file(`{"${secret}`), /not valid JSON/],
  ["deeply nested JSON", file(`{"w":${"[".repeat(200_000)}`), /not valid JSON/],
  ["an array", file("[1, 2]"), /begin with \{/],
  ["leading spaces", file("  {}"), /begin with \{/],
  ["invalid UTF-8", file("{}").map((byte, i) => (i === 9 ? 0xff : byte)), /not UTF-8/],
  ["a byte order mark", file("\ufeff{}"), /begin with \{/],
  ["a tensor that is no object", file(`{"w": 3}`), /w: expected/],
  ["an unknown dtype", tensor({ dtype: secret }), /dtype must be/],
  ["an unknown field", tensor({ [secret]: 1 }), /w: remove the unknown field/],
  [
    "a missing shape",
    file(`{"w": {"dtype": "F32", "data_offsets": [0, 8]}}`, new Uint8Array(8)),
    /w.shape: the field is missing/,
  ],
  ["a negative size", tensor({ shape: [-2] }), /w\.shape/],
  ["a fractional size", tensor({ shape: [1.5] }), /w\.shape/],
  ["a shape that overflows", tensor({ shape: [2 ** 40, 2 ** 40] }), /another length/],
  ["a shape of too many bytes", tensor({ shape: [3] }), /another length/],
  ["offsets backwards", tensor({ data_offsets: [8, 0] }), /another length/],
  ["negative offsets", tensor({ data_offsets: [-8, 0] }), /w\.data_offsets/],
  ["three offsets", tensor({ data_offsets: [0, 8, 16] }), /w\.data_offsets|unknown/],
  ["offsets beyond the file", tensor({ shape: [4], data_offsets: [0, 16] }), /beyond the end/],
  ["bytes left over", tensor({}, new Uint8Array(12)), /belong to no tensor/],
  ["a gap at the front", tensor({ data_offsets: [4, 12] }, new Uint8Array(12)), /gap or overlaps/],
  ["an overlap", overlapping(), /gap or overlaps/],
  ["a name twice", twice(), /twice/],
  ["a name twice, once escaped", twice("\\u0077"), /twice/],
  ["a field twice", fieldTwice(), /twice/],
  ["a name with a line break", file(JSON.stringify({ "a\nb": one(0) }), new Uint8Array(8)), /name is not/],
  ["a name of 300 letters", file(JSON.stringify({ ["a".repeat(300)]: one(0) }), new Uint8Array(8)), /name is not/],
  ["metadata that is not text", file(`{"__metadata__": {"a": {"b": 1}}}  `), /metadata/],
];

function one(begin: number) {
  return { dtype: "F32", shape: [2], data_offsets: [begin, begin + 8] };
}

function overlapping(): Uint8Array {
  return file(JSON.stringify({ a: one(0), b: one(4) }), new Uint8Array(12));
}

function twice(second = "w"): Uint8Array {
  return file(`{"w": ${JSON.stringify(one(0))}, "${second}": ${JSON.stringify(one(0))}}`, new Uint8Array(8));
}

function fieldTwice(): Uint8Array {
  return file(`{"w": {"dtype": "F16", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}`, new Uint8Array(8));
}

describe("readHeader", () => {
  it.each(malformed)("refuses %s", async (_, bytes, message) => {
    const error = await read(bytes).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error?.message).toMatch(message);
    expect(error?.message).toMatch(/^model\.safetensors[^\n]{0,400}$/);
    expect(error?.message).not.toContain(secret);
  });

  it("takes metadata, padding, scalars, empty tensors and any order", async () => {
    const header = {
      __metadata__: { format: "pt", "w:": 'a "quoted": {brace' },
      b: { dtype: "I64", shape: [1], data_offsets: [8, 16] },
      none: { dtype: "F32", shape: [0, 5], data_offsets: [8, 8] },
      a: { dtype: "BF16", shape: [2, 2], data_offsets: [0, 8] },
      scalar: { dtype: "F16", shape: [], data_offsets: [16, 18] },
    };
    const entries = await read(file(`${JSON.stringify(header)}   `, new Uint8Array(18)));
    expect([...entries.keys()].sort()).toEqual(["a", "b", "none", "scalar"]);
  });

  it("takes tensors of all the format's types and of any name, and those that metadata names after others", async () => {
    const types = { BOOL: 1, U8: 1, I8: 1, U16: 2, I16: 2, U32: 4, I32: 4, U64: 8, I64: 8, F64: 8, C64: 8, F8_E4M3: 1 };
    const tensors: Record<string, unknown> = {};
    let end = 0;
    for (const [dtype, bytes] of Object.entries({ ...types, F8_E5M2: 1, F8_E8M0: 1 })) {
      tensors[`Maske ü ${dtype}`] = { dtype, shape: [1, 3], data_offsets: [end, end + 3 * bytes] };
      end += 3 * bytes;
    }
    tensors.packed = { dtype: "F4", shape: [4], data_offsets: [end, end + 2] };
    const __metadata__ = { format: "pt", "lm_head.weight": "packed", other: "nothing" };
    const entries = await read(file(JSON.stringify({ __metadata__, ...tensors }), new Uint8Array(end + 2)));
    expect([...entries.keys()]).toEqual([...Object.keys(tensors), "lm_head.weight"]);
    expect(entries.get("lm_head.weight")?.name).toBe("packed");
  });

  it("never fails but with one line, whatever byte is changed", async () => {
    const good = tensor({});
    const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const bytes = good.slice();
        for (const [at, value] of changes) bytes[at] = value;
        await read(bytes).catch((error: Error) => expect(error.message).toMatch(/^model\.safetensors[^\n]*$/));
      }),
      { numRuns: 500 },
    );
  });
});

describe("readTensor", () => {
  it("decodes F32, F16 and BF16", async () => {
    const bytes = new Uint8Array([0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0, 0, 0x3c, 1, 0, 0x80, 0x3f, 0x20, 0xc0]);
    const header = {
      f: { dtype: "F32", shape: [2], data_offsets: [0, 8] },
      h: { dtype: "F16", shape: [2], data_offsets: [8, 12] },
      b: { dtype: "BF16", shape: [1, 2], data_offsets: [12, 16] },
    };
    const source = bytesSource(file(JSON.stringify(header), bytes));
    const entries = await readHeader(source, "f");
    expect([...(await readTensor(source, entries.get("f")!)).data]).toEqual([1, -2.5]);
    expect([...(await readTensor(source, entries.get("h")!)).data]).toEqual([1, 2 ** -24]);
    expect(await readTensor(source, entries.get("b")!)).toEqual({ shape: [1, 2], data: Float32Array.of(1, -2.5) });
  });

  it.each([
    ["F32", [0, 0, 0xc0, 0x7f]],
    ["F32", [0, 0, 0x80, 0xff]],
    ["F16", [0, 0x7c]],
    ["BF16", [0x80, 0x7f]],
  ])("names a tensor of %s with a value that is not finite", async (dtype, bytes) => {
    const header = { bad: { dtype, shape: [1], data_offsets: [0, bytes.length] } };
    const source = bytesSource(file(JSON.stringify(header), Uint8Array.from(bytes)));
    const entries = await readHeader(source, "f");
    await expect(readTensor(source, entries.get("bad")!)).rejects.toThrow(/tensor bad has a value that is not finite/);
  });

  it("rounds F64 to F32, and refuses what is too large for it", async () => {
    const f64 = async (value: number) => {
      const source = bytesSource(tensor({ dtype: "F64", shape: [1] }, new Uint8Array(Float64Array.of(value).buffer)));
      return readTensor(source, (await readHeader(source, "f")).get("w")!);
    };
    expect((await f64(0.1)).data).toEqual(Float32Array.of(0.1));
    await expect(f64(1e300)).rejects.toThrow(/tensor w has a value that is not finite/);
  });

  it.each(["I64", "U64", "C64", "F8_E4M3", "U8", "BOOL"])("refuses %s as weights, by name", async (dtype) => {
    const count = dtype.endsWith("64") ? 1 : 8;
    const source = bytesSource(tensor({ dtype, shape: [count] }));
    await expect(readTensor(source, (await readHeader(source, "f")).get("w")!)).rejects.toThrow(
      `tensor w holds ${dtype} where weights are needed: save it as F32, F16 or BF16`,
    );
  });
});

describe("writeSafetensors", () => {
  const written = async (dtype: "F32" | "F16", data: Float32Array) => {
    const parts: Uint8Array[] = [];
    const tensors = [{ name: "w", shape: [data.length], data: () => data }];
    await writeSafetensors(tensors, dtype, async (bytes) => void parts.push(bytes.slice()));
    return bytesSource(Uint8Array.from(parts.flatMap((part) => [...part])));
  };

  it("writes what it reads", async () => {
    const finite = fc.float32Array({ noNaN: true, noDefaultInfinity: true, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(finite, async (data) => {
        const source = await written("F32", data);
        const entry = (await readHeader(source, "f")).get("w")!;
        expect((await readTensor(source, entry)).data).toEqual(data);
        expect(entry.begin % 8).toBe(0);
      }),
    );
  });

  it("refuses what does not fit", async () => {
    await expect(written("F16", Float32Array.of(65_520))).rejects.toThrow(/tensor w has a value beyond F16/);
    await expect(written("F32", Float32Array.of(Number.NaN))).rejects.toThrow(
      /tensor w has a value that is not finite/,
    );
  });
});

describe("F16", () => {
  it("gives every finite value back", () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter((bits) => (bits & 0x7c00) !== 0x7c00);
    expect(floatToHalf(halfToFloat(all))).toEqual(all);
  });

  it("rounds to the nearest, ties to even", () => {
    const inputs = [
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      1 + 2 ** -11 + 2 ** -20,
      65_519,
      2 ** -25,
      3 * 2 ** -26,
      2 ** -14 - 2 ** -26,
    ];
    const halves = floatToHalf(Float32Array.from(inputs))!;
    expect([...halfToFloat(halves)]).toEqual([1, 1 + 2 ** -9, 1 + 2 ** -10, 65_504, 0, 2 ** -24, 2 ** -14]);
  });
});

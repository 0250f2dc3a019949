import { inspect } from "node:util";
import { ctr } from "@noble/ciphers/aes.js";
import { expect, it } from "vitest";
import { Prg, randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";

const KEY = Uint8Array.from(Buffer.from("2b7e151628aed2a6abf7158809cf4f3c", "hex"));

it("is AES-128 in counter mode (known answer of the zero block under the zero key)", async () => {
  const ring = await Ring.create();
  const w = ring.alloc(2);
  ring.keystream(w, new Uint8Array(16), 0, 0);
  expect(Buffer.from(w.bytes()).toString("hex")).toBe("66e94bd4ef8a2c3b884cfa59ca342b2e");
});

it.each([1, 2, 15, 16, 17, 33, 8192, 37_501])("gives the same %i words in Node and in a browser", async (length) => {
  const ring = await Ring.create();
  const [node, portable] = [ring.alloc(length), ring.alloc(length)];
  for (const key of [KEY, randomKey(), new Uint8Array(16).fill(255)]) {
    new Prg(key).words(ring, node, 0xdeadbeef, 7);
    new Prg(key, null).words(ring, portable, 0xdeadbeef, 7);
    expect(Buffer.compare(node.bytes(), portable.bytes())).toBe(0);
  }
  const counter = Buffer.from("deadbeef000000070000000000000000", "hex");
  const noble = ctr(KEY, counter).encrypt(new Uint8Array(8 * length));
  new Prg(KEY, null).words(ring, portable, 0xdeadbeef, 7);
  expect(Buffer.compare(noble, portable.bytes())).toBe(0);
});

it("leaves no key behind in the ring's memory", async () => {
  const ring = await Ring.create();
  const key = randomKey();
  new Prg(key, null).words(ring, ring.alloc(100), 1, 2);
  expect(Buffer.from(ring.memory.wasm.buffer).includes(Buffer.from(key))).toBe(false);
});

it("gives every address its own numbers, the same ones again, below the width", async () => {
  const ring = await Ring.create();
  const prg = new Prg(randomKey());
  const draw = (stream: number, purpose: number, bits = 64) => {
    const w = ring.alloc(50);
    prg.words(ring, w, stream, purpose, bits);
    return new BigUint64Array(w.bytes().slice().buffer);
  };
  expect(draw(1, 2)).toEqual(draw(1, 2));
  for (const other of [draw(2, 1), draw(1, 3), draw(0x10001, 2)]) expect(other).not.toEqual(draw(1, 2));
  expect(draw(5, 5, 11).every((x) => x < 2048n)).toBe(true);
});

it("keeps its key to itself and refuses a wrong one", () => {
  const prg = new Prg(KEY);
  for (const text of [String(prg), JSON.stringify(prg), inspect(prg, { showHidden: true, depth: 5 })]) {
    expect(text).not.toMatch(/2b|43, 126/);
  }
  expect(() => new Prg(new Uint8Array(15))).toThrow(/16 bytes, got 15/);
});

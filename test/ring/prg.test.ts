import { createCipheriv } from "node:crypto";
import { inspect } from "node:util";
import { expect, it } from "vitest";
import { Prg, portableCipher, randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";

const KEY = Uint8Array.from(Buffer.from("2b7e151628aed2a6abf7158809cf4f3c", "hex"));

it("is AES-128 of the counter block (NIST SP 800-38A, F.1.1 by the block, F.5.1 by the mode)", () => {
  const stream = new Uint8Array(16);
  // The block f0f1..ff of F.5.1 cannot be an address from 0; its keystream through the cipher itself is the known answer.
  portableCipher(
    KEY,
    Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i),
    stream,
  );
  expect(Buffer.from(stream).toString("hex")).toBe("ec8cdf7398607cb0f2d21675ea9ea1e4");
});

it.each([1, 15, 16, 17, 300_000])("gives the same %i bytes in Node and in a browser, block by block", (length) => {
  const [node, portable] = [new Uint8Array(length), new Uint8Array(length)];
  new Prg(KEY).fill(node, 0xdeadbeef, 7);
  new Prg(KEY, portableCipher).fill(portable, 0xdeadbeef, 7);
  expect(Buffer.compare(node, portable)).toBe(0);
  const block = Buffer.from("deadbeef000000070000000000000000", "hex");
  const first = createCipheriv("aes-128-ecb", KEY, null).update(block);
  expect([...node.subarray(0, 16)]).toEqual([...first.subarray(0, Math.min(16, length))]);
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

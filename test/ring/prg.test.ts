import { createCipheriv } from "node:crypto";
import { inspect } from "node:util";
import { expect, it } from "vitest";
import { Prg, portableCipher, randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";

const KEY = Uint8Array.from(Buffer.from("2b7e151628aed2a6abf7158809cf4f3c", "hex"));

it("is AES-128 in counter mode (NIST SP 800-38A, F.5.1)", () => {
  const counter = Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i);
  const plain =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
  const cipher =
    "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff" +
    "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee";
  const stream = new Uint8Array(64).fill(1);
  portableCipher(KEY, counter, stream);
  const text = Buffer.from(plain, "hex");
  expect(Buffer.from(stream.map((byte, i) => byte ^ text[i])).toString("hex")).toBe(cipher);
});

it.each([0, 1, 15, 16, 17, 65_536, 300_001])(
  "gives the same %i bytes in Node and in a browser, block by block",
  (length) => {
    const [node, portable] = [new Uint8Array(length), new Uint8Array(length)];
    new Prg(KEY).fill(node, 0xdeadbeef, 7);
    new Prg(KEY, portableCipher).fill(portable, 0xdeadbeef, 7);
    expect(Buffer.compare(node, portable)).toBe(0);
    const block = Buffer.from("deadbeef000000070000000000000000", "hex");
    const first = createCipheriv("aes-128-ecb", KEY, null).update(block);
    expect([...node.subarray(0, 16)]).toEqual([...first.subarray(0, length)]);
  },
);

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

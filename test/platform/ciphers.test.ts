/** Node's ciphers and those of browsers give the same bytes, so that each end may be either. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { platform } from "#platform";
import * as webCrypto from "../../src/platform/web-crypto.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

describe("AES-256-GCM of records", () => {
  it("seals the same records, and opens each other's alone", async () => {
    const [key, iv] = [new Uint8Array(32).fill(7), new Uint8Array(12)];
    for (const length of [0, 1, 16, 1000]) {
      const content = new Uint8Array(length).fill(length);
      const records = [];
      for (const make of [platform.newAead, webCrypto.newAead]) {
        const record = await (await make(key, "encrypt")).seal(iv, content);
        records.push(new Uint8Array(record));
        for (const other of [platform.newAead, webCrypto.newAead]) {
          const cipher = await other(key, "decrypt");
          expect(new Uint8Array(await cipher.open(iv, record))).toEqual(content);
          const altered = Uint8Array.from(record, (byte, i) => (i === record.length - 1 ? byte ^ 1 : byte));
          await expect((async () => cipher.open(iv, altered))()).rejects.toThrow();
        }
      }
      expect(records[0]).toEqual(records[1]);
    }
  });
});

describe("the tags of frames", () => {
  it("are the same for all parts, empty ones too", () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 4 });
    void fc.assert(
      fc.property(bytes(16), bytes(12), parts, (key, iv, parts) => {
        expect(new Uint8Array(platform.gmac(key, iv, parts))).toEqual(new Uint8Array(webCrypto.gmac(key, iv, parts)));
      }),
    );
  });

  it("are GCM's: its specification's first case has no plaintext and no data", () => {
    const tag = platform.gmac(new Uint8Array(16), new Uint8Array(12), []);
    expect(Buffer.from(tag).toString("hex")).toBe("58e2fccefa7e3061367f1d57a4e7455a");
  });
});

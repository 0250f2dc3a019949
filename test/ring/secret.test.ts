/** Key material never prints. */
import { inspect } from "node:util";
import { expect, it } from "vitest";
import { Secret } from "../../src/ring/secret.ts";

it("prints its length, whichever way it is printed, and gives its bytes by one name", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => 100 + i);
  const secret = new Secret(bytes);
  const nested = { served: { modelKey: secret } };
  const printed = [
    String(secret),
    `${secret}`,
    JSON.stringify(nested),
    inspect(nested, { depth: 9, showHidden: true }),
    JSON.stringify(structuredClone(nested)),
    JSON.stringify(Object.entries(secret)),
  ];
  for (const text of printed) expect(text).not.toMatch(/10[0-9]|64 65|6465/);
  expect(printed.slice(0, 3)).toEqual(["Secret(16)", "Secret(16)", '{"served":{"modelKey":"Secret(16)"}}']);
  expect([...secret.expose()]).toEqual([...bytes]);
});

it.each([Uint8Array, Buffer])("keeps its own copy of a %o", (kind) => {
  const bytes = kind.from([1, 2, 3]);
  const secret = new Secret(bytes);
  bytes.fill(0);
  expect([...secret.expose()]).toEqual([1, 2, 3]);
});

/** Whose pages, under which names, may ask a listener for browsers. */
import { expect, it } from "vitest";
import { isByOwnName, isByOwnPage } from "../../src/channels/sites.ts";

it.each([
  ["127.0.0.1:7730", true],
  ["10.1.2.3", true],
  ["[::1]:80", true],
  ["localhost:7730", true],
  ["mpcformer", true],
  ["mpc.example:443", true],
  ["MPC.example", true],
  ["by-certificate.example", true],
  ["rebound.attacker.example:7730", false],
  ["127.0.0.1.attacker.example", false],
  ["mpc.example.attacker.example", false],
  ["", false],
  ["a b", false],
])("a request for %s is by a name of this machine: %s", (host, own) => {
  const certified = (name: string) => name === "by-certificate.example";
  expect(isByOwnName({ host }, { names: ["mpc.example"], certified })).toBe(own);
});

it("a program that names no host is no browser", () => {
  expect(isByOwnName({}, {})).toBe(true);
});

it.each([
  [undefined, true],
  ["http://10.0.0.1:7730", true],
  ["http://localhost:7780", true],
  ["http://127.0.0.1:7780", true],
  ["http://[::1]:7780", true],
  ["https://page.example", true],
  ["http://page.example", false],
  ["https://attacker.example", false],
  ["http://10.0.0.2:7730", false],
  ["http://10.0.0.1:7731", false],
  ["http://127.0.0.1.attacker.example", false],
  ["null", false],
])("a page of %s may ask: %s", (origin, may) => {
  expect(isByOwnPage({ host: "10.0.0.1:7730", origin }, { origins: ["https://page.example"] })).toBe(may);
  expect(isByOwnPage({ host: "10.0.0.1:7730", origin }, { origins: ["*"] })).toBe(true);
});

/** By whom connections are counted. */
import { expect, it } from "vitest";
import { accountOf, sourceOf } from "../../src/channels/accounts.ts";

it.each([
  ["127.0.0.1", "127.0.0.1"],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::6", "2001:db8:1:2::/64"],
  ["2001:db8::6", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  [undefined, "unknown"],
])("%s is of %s", (address, source) => {
  expect(sourceOf(address)).toBe(source);
});

it("is a key that an operator has listed, and an address else", () => {
  expect(accountOf({ listed: true }, "ab", "10.0.0.1")).toBe("ab");
  expect(accountOf({ listed: false }, "ab", "10.0.0.1")).toBe("10.0.0.1");
  expect(accountOf({}, "", "10.0.0.1")).toBe("10.0.0.1");
});

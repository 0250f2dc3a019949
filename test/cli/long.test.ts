/** The long checks begin as they are said to: each in its shortest form. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const RUN = fileURLToPath(new URL("../long/run.mjs", import.meta.url));
const long = (...args: string[]) => spawnSync(process.execPath, [RUN, ...args], { encoding: "utf8" });

it("fuzz takes its own arguments, and reports in JSON", () => {
  const { status, stdout } = long("fuzz", "--door", "config", "--inputs", "300", "--seconds", "20", "--seed", "1");
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ door: "config", inputs: 300 });
});

it("overload refuses whoever has no place, while others are answered", () => {
  const { status, stdout } = long("overload", "--asks", "60", "--json");
  expect(status).toBe(0);
  const { asked, refused } = JSON.parse(stdout);
  expect(asked).toBe(60);
  expect(refused).toBeGreaterThan(10);
});

it("an unknown check is refused with the names of those there are", () => {
  const { status, stderr } = long("dance");
  expect(status).toBe(2);
  expect(stderr).toMatch(/^which long check\? .*fuzz.*once.*overload.*soak.*views/);
});

import { fork } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { MaterialStore } from "../../src/parties/store.ts";

const KEY = "0123456789abcdef0123456789abcdef";
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "store-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const id = (i: number) => i.toString(16).padStart(32, "0");

it("gives an item back once, whole, and then no more", async () => {
  const store = new MaterialStore(dir);
  await store.put(id(1), { key: KEY, parts: [Uint8Array.of(1, 2), Uint8Array.of(3)] });
  expect(await store.count(KEY)).toBe(1);
  expect((await stat(join(dir, KEY, `${id(1)}.material`))).mode & 0o777).toBe(0o600);
  const item = await store.claim(KEY);
  expect(item?.id).toBe(id(1));
  expect([...(await item!.bytes())]).toEqual([1, 2, 3]);
  expect([await store.count(KEY), await store.claim(KEY), await store.claim(KEY, id(1))]).toEqual([
    0,
    undefined,
    undefined,
  ]);
  await item!.discard();
  expect(await readdir(join(dir, KEY))).toEqual([]);
});

it("refuses and burns what is cut short or altered, without a word of its content", async () => {
  const store = new MaterialStore(dir);
  for (const [i, damage] of [
    (b: Buffer) => b.subarray(0, b.length - 1),
    (b: Buffer) => Buffer.from(b.map((x, j) => (j === 2 ? x ^ 1 : x))),
  ].entries()) {
    await store.put(id(i), { key: KEY, parts: [new TextEncoder().encode("SECRET")] });
    const path = join(dir, KEY, `${id(i)}.material`);
    await writeFile(path, damage(await readFile(path)));
    const item = await store.claim(KEY);
    await expect(item!.bytes()).rejects.toThrow(/^prepared material is damaged: it was burnt; prepare more$/);
    expect(await store.claim(KEY)).toBeUndefined();
  }
});

it("burns what a crash left claimed or half written", async () => {
  const store = new MaterialStore(dir);
  await store.put(id(1), { key: KEY, parts: [Uint8Array.of(1)] });
  await store.put(id(2), { key: KEY, parts: [Uint8Array.of(2)] });
  await store.claim(KEY, id(1));
  await writeFile(join(dir, KEY, `${id(3)}.partial`), "x");
  const after = new MaterialStore(dir);
  expect(await after.burnLeftovers()).toBe(2);
  expect((await after.claim(KEY))?.id).toBe(id(2));
});

it.each(["../../etc", "", "ABC", `${KEY}/..`])("refuses the name %j", async (name) => {
  const store = new MaterialStore(dir);
  await expect(store.claim(name)).rejects.toThrow(/hexadecimal/);
  await expect(store.claim(KEY, name || "x")).rejects.toThrow(/hexadecimal/);
  await expect(store.put(name, { key: KEY, parts: [] })).rejects.toThrow(/hexadecimal/);
});

it("lets one of several processes have each item", async () => {
  const store = new MaterialStore(dir);
  const count = 60;
  for (let i = 0; i < count; i++) await store.put(id(i), { key: KEY, parts: [Uint8Array.of(i)] });
  const script = join(dir, "claim.mjs");
  const module = new URL("../../dist/parties/store.js", import.meta.url).href;
  await writeFile(
    script,
    `import { MaterialStore } from ${JSON.stringify(module)};
     const store = new MaterialStore(process.argv[2]);
     for (;;) { const item = await store.claim(process.argv[3]); if (!item) break; process.send(item.id); }`,
  );
  const claimed: string[] = [];
  const racers = Array.from({ length: 3 }, () => {
    const child = fork(script, [dir, KEY]);
    child.on("message", (m) => claimed.push(String(m)));
    return new Promise((resolve) => child.on("exit", resolve));
  });
  expect(await Promise.all(racers)).toEqual([0, 0, 0]);
  expect(claimed.length).toBe(count);
  expect(new Set(claimed).size).toBe(count);
});

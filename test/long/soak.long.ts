/**
 * Many requests at one server and one dealer: memory stays flat in the second half, and the answers stay right; then 32 sessions at
 * once, and ten times as many clients as there are places. `npm run long -- soak`; SOAK_REQUESTS for another number.
 */
import { afterEach, expect, it } from "vitest";
import { randomText } from "../../src/models/catalog.ts";
import type { Client } from "../../src/parties/client.ts";
import { World } from "../parties/world.ts";

const REQUESTS = Number(process.env.SOAK_REQUESTS ?? 2000);
const MINUTES = 60_000;
/** Growth of the second half that counts as flat. */
const FLAT_MB = 16;

let here: World;
afterEach(() => here.close());

type Services = Awaited<ReturnType<World["services"]>>;

async function isRight(w: Services, client: Client, seed: number): Promise<boolean> {
  const text = randomText(w.spec, 4 + (seed % 9), seed);
  const { logits, length } = await client.infer(text);
  return w.float(text, length).every((x, i) => Math.abs(x - logits[i]) < 0.05);
}

async function residentMb(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage().rss / 2 ** 20;
}

it(`${REQUESTS} requests`, { timeout: 60 * MINUTES }, async () => {
  here = await World.create(60_000);
  const w = await here.services();
  const marks: number[] = [];
  let client = await w.connect();
  for (let i = 0; i < REQUESTS; i++) {
    expect(await isRight(w, client, i), `request ${i}`).toBe(true);
    // A connection serves some requests, as users' do.
    if (i % 10 === 9) {
      await client.close();
      client = await w.connect();
    }
    if ((i + 1) % (REQUESTS / 10) === 0) marks.push(await residentMb());
  }
  await client.close();
  console.log("resident MB by tenths:", marks.map((mb) => mb.toFixed(0)).join(" "));
  expect(here.failures).toEqual([]);
  expect(w.clientRing.memory.bytesInUse).toBe(0);
  expect(marks[9] - marks[4]).toBeLessThan(FLAT_MB);
});

it("32 sessions at once, none mixed up", { timeout: 10 * MINUTES }, async () => {
  here = await World.create(60_000);
  const w = await here.services({ serving: { limits: { running: 32 } } });
  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    const clients = await Promise.all(Array.from({ length: 32 }, () => w.connect()));
    const right = await Promise.all(clients.map((client, i) => isRight(w, client, 100 * round + i)));
    expect(right.filter(Boolean).length).toBe(32);
    for (const client of clients) await client.close();
  }
  console.log(`${32 * rounds} answers right`);
});

it("ten times as many as there are places: refused at once, and those who are in are answered", {
  timeout: 10 * MINUTES,
}, async () => {
  here = await World.create(60_000);
  const w = await here.services({ serving: { limits: { running: 2, waiting: 4 } } });
  const clients = await Promise.all(Array.from({ length: 60 }, () => w.connect()));
  const refusals: number[] = [];
  let answered = 0;
  await Promise.all(
    clients.map(async (client, i) => {
      // They come within a second, not all in one moment of this one process.
      await new Promise((resolve) => setTimeout(resolve, 17 * i));
      const started = performance.now();
      try {
        expect(await isRight(w, client, i)).toBe(true);
        answered++;
      } catch (error) {
        expect((error as Error).message).toMatch(/try again in a moment/);
        refusals.push(performance.now() - started);
      }
      await client.close();
    }),
  );
  const sorted = refusals.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(0);
  console.log(`${answered} answered, ${refusals.length} refused after ${at(0.5)} ms (median), ${at(1)} ms at most`);
  expect(answered + refusals.length).toBe(60);
  expect(answered).toBeGreaterThan(5);
  expect(refusals.length).toBeGreaterThan(10);
});

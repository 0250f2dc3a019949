/**
 * How much longer an honest client's answer takes while others attack: `npm run long -- attacks`, after `npm run build`. In one run, turn
 * about without and with the attack, so that both see the same machine; the medians' ratio is at most 3.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ATTACKS, honestClient, type Target, TEXT, target } from "../cli/attacks.ts";

const [ROUNDS, ANSWERS, MOST_RATIO] = [3, 5, 3];

let services: Target;
beforeAll(async () => {
  services = await target();
}, 300_000);
afterAll(() => services?.close());

const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

it.each(ATTACKS)("$name", { timeout: 1_800_000 }, async ({ name, server, begin }) => {
  const client = await honestClient(services, services[server]);
  const answers = async (times: number[]) => {
    for (let i = 0; i < ANSWERS; i++) {
      const started = performance.now();
      expect((await client.classify(TEXT)).label).toBe("positive");
      times.push(performance.now() - started);
    }
  };
  await answers([]);
  const [alone, attacked]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round++) {
    await answers(alone);
    const stop = await begin(services);
    await answers(attacked).finally(stop);
  }
  const ratio = median(attacked) / median(alone);
  const rounded = (ms: number) => Math.round(ms);
  console.log(
    JSON.stringify({ name, ms: { alone: rounded(median(alone)), attacked: rounded(median(attacked)) }, ratio }),
  );
  await client.close();
  expect(ratio).toBeLessThan(MOST_RATIO);
});

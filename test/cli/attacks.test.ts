/** Services under attack: an honest client is answered, nothing ends, memory stays. How long it takes is measured by `npm run long -- attacks`. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { ATTACKS, honestClient, residentBytes, type Target, TEXT, target } from "./attacks.ts";

const MOST_GROWN_BYTES = 512 * 2 ** 20;

let services: Target;
beforeAll(async () => {
  services = await target();
}, 300_000);
afterAll(() => services?.close());

it.each(ATTACKS)("$name: the honest are answered, nothing ends", async ({ server, begin }) => {
  const parties = [services.dealer, services.open, services.listed];
  const client = await honestClient(services, services[server]);
  // Whatever a first answer needs is there before memory is compared.
  expect((await client.classify(TEXT)).label).toBe("positive");
  const idle = parties.map(residentBytes);
  const stop = await begin(services);
  try {
    for (let i = 0; i < 2; i++) expect((await client.classify(TEXT)).label).toBe("positive");
    const other = await honestClient(services, services[server]);
    expect((await other.classify(TEXT)).label).toBe("positive");
    await other.close();
    for (const { health } of parties) expect(await (await fetch(`http://${health}/livez`)).text()).toBe("alive\n");
    parties.forEach((one, i) => {
      expect(residentBytes(one) - idle[i]).toBeLessThan(MOST_GROWN_BYTES);
    });
  } finally {
    await stop();
  }
  await client.close();
  expect(parties.map((one) => one.running())).toEqual([true, true, true]);
});

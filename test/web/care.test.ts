/** What the page must not do to people: leak, keep out, block, move, or take long to load. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { openModel } from "../../src/cli/source.ts";
import { asked, formsOf, inBrowser, ready, wordsOf } from "./watched.ts";

const TEXT = "a gripping, funny and beautifully acted film";
/** Goes over the wire, compressed, before anybody has asked. */
const MOST_LOADED = 600_000;

inBrowser("the page's manners", (place) => {
  it("tells nobody a word of the text", async () => {
    const word = "zyzzyvaquokkaflumox";
    const seen = await place().open();
    await asked(seen.page, `the ${word} is a gripping film`);
    const { tokenizer } = await openModel("demo", { overrides: {} });
    const { ids } = tokenizer!.encode(word);
    const words = ids.slice(1, -1).slice(0, 4);
    expect(words.length).toBeGreaterThan(3);
    expect(seen.frames()).toBeGreaterThan(100);
    for (const form of [...formsOf(word), ...wordsOf(words)])
      for (const bytes of seen.wire) expect(bytes.includes(form), `${form.toString("latin1")} was sent`).toBe(false);
    // The watch itself sees what is there.
    expect(seen.wire.some((bytes) => bytes.includes("/assets/worker-"))).toBe(true);
    await seen.close();
  });

  it("can be read by everybody, at any width, by day and by night", async () => {
    const seen = await place().open();
    const { page } = seen;
    const readable = async (when: string) => {
      for (const colorScheme of ["light", "dark"] as const)
        for (const width of [320, 1280]) {
          await page.emulateMedia({ colorScheme });
          await page.setViewportSize({ width, height: 800 });
          expect(await faults(page), `${colorScheme} ${width}, ${when}`).toEqual([]);
        }
    };
    await ready(page);
    await readable("before");
    await asked(page, TEXT);
    await page.locator("#keys summary").first().click();
    await readable("answered");
    await page.setInputFiles("#file", {
      name: "a.txt",
      mimeType: "text/plain",
      buffer: Buffer.from(`${TEXT}\n\u0001`),
    });
    await page.getByText("2 of 2 texts done").waitFor();
    await readable("a file");
    await seen.close();
  });

  it("blocks nobody, moves little, and loads fast", async () => {
    const { open, longestTask } = place();
    const longest = await longestTask(async () => {
      const seen = await open();
      await asked(seen.page, TEXT);
      await ready(seen.page);
      expect(await seen.page.evaluate(() => (globalThis as unknown as { shift: number }).shift)).toBeLessThan(0.1);
      const sizes = [...(await seen.sizes()).values()];
      expect(sizes.length).toBeGreaterThan(4);
      expect(sizes.reduce((a, b) => a + b, 0)).toBeLessThan(MOST_LOADED);
      await seen.close();
    });
    expect(longest).toBeLessThan(50);
  });
});

/** Rules of accessibility that are broken, and what sticks out to the side. */
async function faults(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  const broken = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  return wide ? [...broken, "scrolls to the side"] : broken;
}

/** The page in a real browser, against real processes. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { asked, inBrowser, over, ready } from "./watched.ts";

const GOOD = "a gripping, funny and beautifully acted film";
const BAD = "the plot makes no sense and the jokes fall flat";

inBrowser("the page", (place) => {
  it("answers as the command line does, and shows what it took and who saw what", async () => {
    const { world, server, dealer, open } = place();
    const seen = await open();
    const { page } = seen;
    await asked(page, GOOD);
    const expected = await world.infer(GOOD, server, dealer);
    expect(await page.locator("#answer .verdict").textContent()).toBe(expected.label);
    const scores = await page.locator("#answer td.number").allTextContents();
    scores.forEach((score, i) => {
      expect(Math.abs(Number.parseFloat(score) / 100 - expected.scores[i])).toBeLessThan(0.005);
    });
    expect(await page.locator(".costs").textContent()).toMatch(
      /Computing.*Sent[\d.]+ [kM]B.*Received[\d.]+ kB.*Flights\d+/,
    );
    const who = await page.locator("#seen").textContent();
    expect(who).toMatch(/\[CLS\]agripping/);
    expect(who).toMatch(/at most 32 tokens/);
    expect(who).toMatch(/0 from you, 576 kB([0-9a-f]{2} ){11}/);
    expect(who).toContain(server.key);
    expect(await page.locator("#progress [role=status]").textContent()).toBe(`Answer: positive, ${scores[1]}`);
    await seen.close();
  });

  it("shows the label where a server tells nothing else", async () => {
    const { world, dealer, open } = place();
    const sparing = await world.server("demo", dealer, "--answer", "label");
    const seen = await open(`http://${sparing.web}/`);
    await asked(seen.page, BAD);
    expect(await seen.page.locator("#answer").textContent()).toMatch(/negative.*tells the label alone/);
    expect(await seen.page.locator("#answer table").count()).toBe(0);
    await seen.close();
  });

  it("lets a helper compute, who sees numbers", async () => {
    const { world, server, dealer, open } = place();
    const helper = await world.helper(server, dealer);
    const seen = await open(await world.page(server, dealer, helper));
    const { page } = seen;
    await ready(page);
    await page.locator("#helped").check();
    await asked(page, GOOD);
    expect(await page.locator("#answer .verdict").textContent()).toBe("positive");
    const who = await page.locator("#seen").textContent();
    expect(who).toMatch(/The helper sees.*288 kB.*([0-9a-f]{2} ){11}/);
    expect(who).toMatch(/\[CLS\]agripping/);
    expect(await page.locator("#keys").textContent()).toContain(helper.key);
    await seen.close();
  });

  it("is used by keyboard alone, and keeps the focus where it was", async () => {
    const seen = await place().open();
    const { page } = seen;
    await ready(page);
    await page.keyboard.press("Tab");
    expect(await focused(page)).toBe("text");
    expect(await page.evaluate(() => getComputedStyle(document.activeElement!).outlineStyle)).toBe("solid");
    await page.keyboard.type(BAD);
    await page.keyboard.press("Control+Enter");
    await page.locator("#seen .tokens").waitFor();
    expect(await focused(page)).toBe("text");
    expect(await page.locator("#answer .verdict").textContent()).toBe("negative");
    const order: string[] = [];
    for (let i = 0; i < 9; i++) {
      await page.keyboard.press("Tab");
      order.push(await focused(page));
    }
    expect(order.slice(0, 3)).toEqual(["button", "button", "button"]);
    expect(order.slice(3, 5)).toEqual(["ask", "file"]);
    await page.locator("#ask").focus();
    await page.keyboard.press("Enter");
    await over(page);
    expect(await focused(page)).toBe("ask");
    await seen.close();
  });

  it("answers a file of texts line by line, and hands the answers out as CSV", async () => {
    const seen = await place().open();
    const { page } = seen;
    await ready(page);
    const lines = [GOOD, BAD, `x ${"word ".repeat(200)}`, 'he said "fine, good"'];
    await page.setInputFiles("#file", fileOf("small.txt", `\ufeff${lines.join("\r\n")}\n\n`));
    await page.getByText("4 of 4 texts done").waitFor();
    const rows = await page.locator("#lines tbody tr").allTextContents();
    expect(rows.map((row) => /(positive|negative)\d|has 2\d\d tokens/.exec(row)?.[1] ?? "long")).toEqual([
      "positive",
      "negative",
      "long",
      "positive",
    ]);
    const csv = await downloaded(page);
    expect(csv.split("\r\n")[0]).toBe("line,text,answer,negative,positive,error");
    expect(csv).toMatch(/\r\n1,"a gripping, funny and beautifully acted film",positive,0\.\d{6},0\.99\d{4},\r\n/);
    expect(csv).toContain('"he said ""fine, good"""');
    await seen.close();
  });

  it("takes ten thousand texts without blocking, and stops when it is told", async () => {
    const seen = await place().open();
    const { page } = seen;
    await ready(page);
    // From a disk: what Playwright hands over itself blocks the page.
    const large = join(place().world.folder, "large.txt");
    const lines = Array.from({ length: 10_000 }, (_, i) => `${GOOD} ${i}`);
    await writeFile(large, lines.join("\n"));
    const longest = await place().longestTask(async () => {
      await page.setInputFiles("#file", large);
      await page.getByText(/^\d+ of 10,000 texts, about/).waitFor();
      await page.getByRole("button", { name: "Next" }).click();
      expect(await page.locator("#lines tbody tr").count()).toBe(50);
      await page.locator("#stop").click();
      await page.getByText("done, then stopped").waitFor();
      expect((await downloaded(page)).split("\r\n")).toHaveLength(10_002);
    });
    expect(longest).toBeLessThan(50);
    await seen.close();
  });

  it("continues a text word by word, and stops when it is told", async () => {
    const { world, dealer, open } = place();
    const storyteller = await world.server("storyteller", dealer);
    const seen = await open(`http://${storyteller.web}/`);
    const { page } = seen;
    await page.locator("#prompt").fill("Once upon a time, there was a little");
    await page.locator("#max-tokens").fill("6");
    await page.evaluate(() => {
      const shown: string[] = [];
      const watch = new MutationObserver(() => shown.push(document.querySelector("#continuation")?.textContent ?? ""));
      watch.observe(document.body, { subtree: true, childList: true, characterData: true });
      Object.assign(globalThis, { shown });
    });
    await page.locator("#ask").click();
    await page.locator("#seen .tokens").waitFor();
    const shown = await page.evaluate(() => (globalThis as unknown as { shown: string[] }).shown);
    expect(new Set(shown.map(({ length }) => length)).size).toBeGreaterThan(3);
    expect(await page.locator("#continuation").textContent()).toBe(" girl named Lily. She loved");
    expect(await page.locator("#seen").textContent()).toContain("6 new tokens of 6 taken");
    await page.locator("#max-tokens").fill("12");
    await page.locator("#ask").click();
    // While the material is made, or before: at once, and the next one goes on over another connection.
    await page.locator("#stop").click();
    await page.locator("#alert", { hasText: "stopped before the text went on" }).waitFor();
    await page.locator("#ask").click();
    await page.locator("#seen", { hasText: /[1-9] new tokens? of 12 taken/ }).waitFor();
    await seen.close();
  });
});

/** The id of what has the focus; its element's name without. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => document.activeElement!.id || document.activeElement!.localName);
}

function fileOf(name: string, text: string) {
  return { name, mimeType: "text/plain", buffer: Buffer.from(text) };
}

async function downloaded(page: Page): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#download").click()]);
  return readFile((await download.path())!, "utf8");
}

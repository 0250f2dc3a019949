/** The page's other models: one that chats, and one that marks entities. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { piped } from "../cli/started.ts";
import { readableEverywhere } from "./readable.ts";
import type { Party } from "./started.ts";
import { asked, inBrowser } from "./watched.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m['content'] }} {% endfor %}";
const FIRST = "Once upon a time, there was a little girl";
const SECOND = "She was happy.";
const TEXT = "Ada Lovelace met Charles Babbage in London";

inBrowser("the page with a model that chats", (place) => {
  let chats: Party;
  beforeAll(async () => {
    const folder = join(place().world.folder, "chatty");
    await cp(join(ROOT, "assets", "storyteller"), folder, { recursive: true });
    const config = join(folder, "tokenizer_config.json");
    const own = JSON.parse(await readFile(config, "utf8"));
    await writeFile(config, JSON.stringify({ ...own, chat_template: TEMPLATE }));
    chats = await place().world.server(folder, place().dealer);
  });

  it("answers message by message from what the parties keep, as the command line does, and begins anew when told", async () => {
    const seen = await place().open(`http://${chats.web}/`);
    const { page } = seen;
    await page.locator("#max-tokens").fill("5");
    await page.evaluate(() => {
      const shown: string[] = [];
      const watch = new MutationObserver(() => {
        shown.push(document.querySelector(".turns li:last-child p")?.textContent ?? "");
      });
      watch.observe(document.body, { subtree: true, childList: true, characterData: true });
      Object.assign(globalThis, { shown });
    });
    const say = async (message: string) => {
      await page.locator("#message").fill(message);
      await page.keyboard.press("Enter");
      await page.locator('.turns li:last-child[aria-busy="false"]').waitFor();
      return page.locator(".turns li:last-child p").textContent();
    };
    const one = await say(FIRST);
    const shown = await page.evaluate(() => (globalThis as unknown as { shown: string[] }).shown);
    expect(new Set(shown.filter((text) => one!.startsWith(text))).size).toBeGreaterThan(3);
    const two = await say(SECOND);
    const { tcp, key } = chats;
    const { dealer } = place();
    const own = join(place().world.folder, "own-key");
    const peers = ["--server", tcp, "--server-key", key, "--dealer", dealer.tcp, "--dealer-key", dealer.key];
    const expected = async (prompt: string) => {
      const told = await piped(["generate", prompt, "--max-tokens", "5", "--json", "--key", own, ...peers]);
      return (JSON.parse(told.out) as { text: string }).text;
    };
    await piped(["keys", own]);
    expect(one).toBe(await expected(`${FIRST} `));
    expect(two).toBe(await expected(`${FIRST} ${one} ${SECOND} `));
    // The second message was read alone: its own words, and the token of the reply that was cut off.
    const who = await page.locator("#seen").textContent();
    expect(who).toMatch(/[1-9] tokens said, 5 answered/);
    expect(await page.locator(".turns .who").allTextContents()).toEqual(["You", "Model", "You", "Model"]);
    await page.locator("#forget").click();
    expect(await say(FIRST)).toBe(one);
    await seen.close();
  });

  it("stops a reply, and goes on behind it", async () => {
    const seen = await place().open(`http://${chats.web}/`);
    const { page } = seen;
    await page.locator("#max-tokens").fill("60");
    await page.locator("#message").fill(FIRST);
    // In the moment of the first word, when the next words' material is being made.
    await page.evaluate(() => {
      const seen = new MutationObserver(() => {
        if (!/\w/.test(document.querySelector('.turns li:last-child[aria-busy="true"] p')?.textContent ?? "")) return;
        seen.disconnect();
        document.querySelector<HTMLElement>("#stop")?.click();
      });
      seen.observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await page.locator("#ask").click();
    await page.locator(".turns li:last-child p", { hasText: /\w/ }).waitFor();
    await page.locator('.turns li:last-child[aria-busy="false"]').waitFor();
    expect(await page.locator("#seen").textContent()).toMatch(/ said, ([1-9]|[1-5]\d) answered/);
    await page.locator("#message").fill(SECOND);
    await page.locator("#ask").click();
    await page.locator("#seen", { hasText: /[1-9] tokens said/ }).waitFor();
    await seen.close();
  });

  it("can be read by everybody, at any width, by day and by night", async () => {
    const seen = await place().open(`http://${chats.web}/`);
    const { page } = seen;
    await page.locator("#max-tokens").fill("3");
    await readableEverywhere(page, "before");
    await page.locator("#message").fill(FIRST);
    await page.locator("#ask").click();
    await page.locator("#seen .tokens").waitFor();
    await readableEverywhere(page, "answered");
    await seen.close();
  });
});

inBrowser("the page with a model of entities", (place) => {
  let marks: Party;
  beforeAll(async () => {
    const { world, dealer } = place();
    const folder = join(world.folder, "entities");
    await cp(join(ROOT, "test/models/fixtures/tasks/entities"), folder, { recursive: true });
    const texts = join(world.folder, "texts.txt");
    await writeFile(texts, `${TEXT}\n`);
    expect((await piped(["calibrate", folder, "--data", texts])).code).toBe(0);
    marks = await world.server(folder, dealer);
  });

  it("marks what the command line finds, and lists it; of a file too", async () => {
    const { world, dealer, open } = place();
    const seen = await open(`http://${marks.web}/`);
    const { page } = seen;
    await asked(page, TEXT);
    const { entities } = (await world.infer(TEXT, marks, dealer)) as unknown as {
      entities: { word: string; entity_group: string; start: number; end: number }[];
    };
    expect(entities.length).toBeGreaterThan(0);
    const marked = await page
      .locator("mark")
      .evaluateAll((all) => all.map(({ childNodes: [word] }) => word.textContent));
    expect(marked).toEqual(entities.map(({ word }) => word));
    expect(await page.locator("mark .tag").allTextContents()).toEqual(entities.map((one) => one.entity_group));
    const rows = await page.locator(".found tbody tr").allTextContents();
    expect(rows.map((row) => row.replace(/[\d.]+%$/, ""))).toEqual(
      entities.map(({ word, entity_group }) => word + entity_group),
    );
    // The text itself is whole.
    const whole = await page.locator(".marked").evaluate((marks) => {
      for (const tag of marks.querySelectorAll(".tag")) tag.remove();
      return marks.textContent;
    });
    expect(whole).toBe(TEXT);
    await page.setInputFiles("#file", { name: "a.txt", mimeType: "text/plain", buffer: Buffer.from(TEXT) });
    await page.getByText("1 of 1 text done").waitFor();
    const [{ word, entity_group }] = entities;
    expect(await page.locator("#lines tbody tr").textContent()).toContain(`${word} (${entity_group})`);
    await seen.close();
  });

  it("can be read by everybody, at any width, by day and by night", async () => {
    const seen = await place().open(`http://${marks.web}/`);
    await asked(seen.page, TEXT);
    await readableEverywhere(seen.page, "answered");
    await seen.close();
  });
});

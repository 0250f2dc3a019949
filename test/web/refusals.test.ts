/** The page when something is wrong: each time a line that a person understands, and nothing that was typed is lost. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { asked, inBrowser, over, ready } from "./watched.ts";

const TEXT = "a gripping, funny and beautifully acted film";
/** A port at which nobody listens. */
const NOBODY = { web: "127.0.0.1:9", key: "0".repeat(64) };

inBrowser("the page, when something is wrong,", (place) => {
  it("says that the server is not there, and asks again when told", async () => {
    const { world, dealer, open } = place();
    const { page } = await open(await world.page(NOBODY, dealer));
    await page.locator("#alert", { hasText: "No server answers at ws://127.0.0.1:9/mpc" }).waitFor();
    await page.locator("#text").fill(TEXT);
    await page.locator("#text").press("Control+Enter");
    await over(page);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.locator("#alert", { hasText: "is it running, and is the address right?" }).waitFor();
    expect(await page.locator("#text").inputValue()).toBe(TEXT);
    await page.context().close();
  });

  it("says that the dealer is not there, to whoever asks", async () => {
    const { world, server, open } = place();
    const { page } = await open(await world.page(server, NOBODY));
    await page.getByText("Not ready: no dealer answers").waitFor();
    await page.locator("#text").fill(TEXT);
    await page.locator("#ask").click();
    await page.locator("#alert", { hasText: "No dealer answers at ws://127.0.0.1:9/mpc" }).waitFor();
    expect(await page.locator("#text").inputValue()).toBe(TEXT);
    await page.context().close();
  });

  it("refuses a server with another key", async () => {
    const { world, server, dealer, open } = place();
    const { page } = await open(await world.page({ web: server.web, key: dealer.key }, dealer));
    await page
      .locator("#alert", { hasText: `The server has the key ${server.key}, which is not the one expected` })
      .waitFor();
    await page.context().close();
  });

  it("refuses a server with another model than the one that the page was opened for", async () => {
    const { world, server, dealer, open } = place();
    const { page } = await open(await world.page(server, dealer, undefined, "--model", "0".repeat(64)));
    await page.locator("#alert", { hasText: `The server serves the model ` }).waitFor();
    // The server's own page names the model that it serves.
    const own = await open(`http://${server.web}/`);
    await ready(own.page);
    await own.page.getByText("A server that serves another model is refused.").waitFor();
    for (const one of [page, own.page]) await one.context().close();
  });

  it("shows a key that the server does not know yet, for its operator", async () => {
    const { world, dealer, open } = place();
    const peers = join(world.folder, "peers");
    await writeFile(peers, `${"1".repeat(64)}\n`);
    const closed = await world.server("demo", dealer, "--peers", peers);
    const { page } = await open(`http://${closed.web}/`);
    await page
      .locator("#alert", { hasText: /the key [0-9a-f]{64} is not on the list here: ask the operator/ })
      .waitFor();
    const [key] = /[0-9a-f]{64}/.exec((await page.locator("#alert").textContent())!)!;
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.getByRole("button", { name: "Copy this browser's key" }).click();
    await page.getByText("copied").waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
    await page.context().close();
  });

  it("passes on that a quota is used up, and keeps the answer before", async () => {
    const { world, dealer, open } = place();
    const strict = await world.server("demo", dealer, "--per-minute", "2");
    const { page } = await open(`http://${strict.web}/`);
    await asked(page, TEXT);
    await page.getByText("Not ready: the server refused").waitFor();
    expect(await page.locator("#answer .verdict").textContent()).toBe("positive");
    await page.locator("#ask").click();
    await page.locator("#alert", { hasText: "The server refused: more than 2 in a minute: wait a little." }).waitFor();
    expect(await page.locator("#text").inputValue()).toBe(TEXT);
    await page.context().close();
  });

  it("says what is wrong with a text or a file", async () => {
    const seen = await place().open();
    const { page } = seen;
    await ready(page);
    await page.locator("#ask").click();
    await page.locator("#alert", { hasText: "The text is empty: give one with at least one letter." }).waitFor();
    await page.setInputFiles("#file", { name: "a.bin", mimeType: "text/plain", buffer: Buffer.from([0xff, 0xfe, 0]) });
    await page.locator("#alert", { hasText: "The file is not plain text (UTF-8): save it as that." }).waitFor();
    await page.locator("#text").fill(TEXT);
    await page.locator("#ask").click();
    await page.locator("#seen .tokens").waitFor();
    expect(await page.locator("#alert").textContent()).toBe("");
    await seen.close();
  });

  it("says so when it came without parties", async () => {
    const { server, open } = place();
    const seen = await open("about:blank");
    await seen.page.route(`http://${server.web}/`, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()).replace(/(id="parties">)[^<]*/, "$1null") });
    });
    await seen.page.goto(`http://${server.web}/`);
    await seen.page.locator("#alert", { hasText: "This page does not know whom to ask" }).waitFor();
    await seen.close();
  });
});

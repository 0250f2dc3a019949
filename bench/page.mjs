// The page in a real browser: from click to answer, with dealer, server, page and Chromium on this machine.
//   node bench/page.mjs [model] [--text TEXT] [--runs N]
// A model is what `mpcformer web` takes. Needs a Chromium: CHROMIUM, or /usr/bin/chromium. Prints one line of JSON for each run.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    text: { type: "string", default: "a gripping, funny and beautifully acted film" },
    runs: { type: "string", default: "5" },
  },
});
const MAIN = new URL("../dist/cli/main.js", import.meta.url).pathname;
/** A page may fetch tables of 100 MB first. */
const LONGEST_MS = 300_000;

const web = spawn(process.execPath, [MAIN, "web", ...positionals, "--listen", "127.0.0.1:0", "--json"], {
  stdio: ["ignore", "pipe", "inherit"],
});
const address = new Promise((resolve) => createInterface({ input: web.stdout }).once("line", resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(LONGEST_MS);
  const said = (words) => page.waitForFunction((text) => document.body.textContent.includes(text), words);
  const opened = performance.now();
  await page.goto(JSON.parse(await address).page);
  await said("Ready: prepared");
  console.log(JSON.stringify({ seconds_to_ready: (performance.now() - opened) / 1000 }));
  await page.fill("#text", values.text);
  for (let run = 0; run < Number(values.runs); run++) {
    await said("Ready: prepared");
    const clicked = performance.now();
    await page.click("#ask");
    await page.waitForFunction(() => /Flights\s*\d/.test(document.querySelector(".costs").textContent));
    const seconds = (performance.now() - clicked) / 1000;
    const costs = await page.locator(".costs dd").allInnerTexts();
    console.log(
      JSON.stringify({ seconds_to_answer: seconds, computing: costs[0], sent: costs[2], received: costs[3] }),
    );
    // Let the page begin to prepare for the next one.
    await page.waitForTimeout(500);
  }
} finally {
  await browser.close();
  web.kill();
}

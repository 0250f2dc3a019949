/** A page that is watched: its errors, its long tasks, and every byte that it sends or gets. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chromiumPath } from "./chromium.ts";
import { type Party, World } from "./started.ts";

interface Watched {
  readonly page: Page;
  /** Errors that the page's console had. */
  readonly errors: string[];
  /** URLs, headers, bodies and frames of WebSockets, of page and worker. */
  readonly wire: Buffer[];
  /** Frames of WebSockets alone. */
  frames(): number;
  /** Sizes of responses as they came over the wire, by URL. */
  sizes(): Promise<Map<string, number>>;
  /** The page goes; it must have had no errors. */
  close(): Promise<void>;
}

/** What the tests of one file share. */
export interface Place {
  readonly world: World;
  readonly dealer: Party;
  /** With the shipped model of sentiment. */
  readonly server: Party;
  /** A fresh page, of `server` unless another is named. */
  open(url?: string, options?: BrowserContextOptions): Promise<Watched>;
  /** Milliseconds that the longest task of a page's main thread has computed during `work`; waiting for a processor does not count. */
  longestTask(work: () => Promise<void>): Promise<number>;
}

/** Tests with a browser and real parties; skipped, and said so, where there is no browser. */
export function inBrowser(name: string, tests: (place: () => Place) => void): void {
  const executablePath = chromiumPath();
  if (executablePath === null) return it.skip(`${name}: no Chromium here; install one, or name it with CHROMIUM=/path`);
  describe(name, () => {
    let place: Place;
    let browser: Browser;
    beforeAll(async () => {
      const world = await World.create();
      const starting = chromium.launch({ executablePath, args: ["--no-sandbox"] });
      const dealer = await world.dealer();
      const server = await world.server("demo", dealer, "--warm", "32");
      browser = await starting;
      const open: Place["open"] = (url = `http://${server.web}/`, options = {}) => watched(browser, url, options);
      place = { world, dealer, server, open, longestTask: (work) => longestTask(browser, work) };
    });
    afterAll(async () => {
      await browser?.close();
      await place?.world.end();
    });
    tests(() => place);
  });
}

/** What an action of a page may wait for, on a machine that is busy with other work. */
export const ACTION_MS = 300_000;

/** Written into traces by every page that is watched. */
const MARK = "watched";

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds that its thread ran. */
  readonly tdur?: number;
}

async function longestTask(browser: Browser, work: () => Promise<void>): Promise<number> {
  await browser.startTracing(undefined, { categories: ["toplevel", "blink.user_timing"] });
  await work();
  const { traceEvents } = JSON.parse(String(await browser.stopTracing())) as { traceEvents: TraceEvent[] };
  const thread = ({ pid, tid }: TraceEvent) => `${pid} ${tid}`;
  // The browser has pages of its own, which are none of ours.
  const pages = new Set(traceEvents.filter(({ name }) => name === MARK).map(thread));
  const tasks = traceEvents.filter((event) => event.tdur !== undefined && pages.has(thread(event)));
  expect(tasks.length).toBeGreaterThan(100);
  return tasks.reduce((longest, { tdur }) => Math.max(longest, tdur! / 1000), 0);
}

async function watched(browser: Browser, url: string, options: BrowserContextOptions): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(ACTION_MS);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && errors.push(message.text()));
  page.on("pageerror", (error) => errors.push(String(error)));
  const { wire, frames } = listen(page);
  const responses: Promise<[string, number]>[] = [];
  page.on("requestfinished", (request) => {
    responses.push(request.sizes().then(({ responseBodySize }) => [request.url(), responseBodySize]));
  });
  await page.addInitScript(observe, MARK);
  await page.goto(url);
  return {
    page,
    errors,
    wire,
    frames,
    sizes: async () => new Map(await Promise.all(responses)),
    close: async () => {
      await context.close();
      expect(errors).toEqual([]);
    },
  };
}

/** In the page, before anything of its own runs: adds up what moves without anybody having done something. */
function observe(mark: string): void {
  setInterval(() => performance.mark(mark), 1000);
  Object.assign(globalThis, { shift: 0 });
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[])
      if (!entry.hadRecentInput) (globalThis as unknown as { shift: number }).shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
}

function listen(page: Page): { wire: Buffer[]; frames: () => number } {
  const wire: Buffer[] = [];
  let count = 0;
  const frame = ({ payload }: { payload: string | Buffer }) => {
    count++;
    wire.push(Buffer.from(payload as string));
  };
  page.on("websocket", (socket) => {
    wire.push(Buffer.from(socket.url()));
    socket.on("framesent", frame);
    socket.on("framereceived", frame);
  });
  page.on("request", (request) => {
    wire.push(Buffer.from(request.url()), Buffer.from(JSON.stringify(request.headers())));
    const body = request.postDataBuffer();
    if (body !== null) wire.push(body);
  });
  return { wire, frames: () => count };
}

/** Every way in which a text could be written down. */
export function formsOf(text: string): Buffer[] {
  const utf8 = Buffer.from(text);
  const utf16 = Buffer.from(text, "utf16le");
  const texts = [utf8.toString("hex"), utf8.toString("hex").toUpperCase(), utf16.toString("hex"), ...base64(utf8)];
  return [utf8, utf16, Buffer.from(utf16).swap16(), ...texts.map((form) => Buffer.from(form))];
}

/** In base64 a text looks in three ways, by what stands before it; its ends depend on its neighbours. */
function base64(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString("base64")
      .slice(before === 0 ? 0 : 4, -4),
  );
}

/** Token ids behind each other, as words of 2, 4 and 8 bytes. */
export function wordsOf(ids: readonly number[]): Buffer[] {
  return [2, 4, 8].map((size) => {
    const words = Buffer.alloc(size * ids.length);
    for (const [i, id] of ids.entries()) words.writeUInt16LE(id, size * i);
    return words;
  });
}

/** Waits until a page is connected and has material. */
export async function ready(page: Page): Promise<void> {
  await page.getByText("Ready").waitFor();
}

export async function asked(page: Page, text: string): Promise<void> {
  await ready(page);
  await page.locator("#text").fill(text);
  await page.locator("#ask").click();
  await page.locator("#seen .tokens").waitFor();
}

/** Waits until a question is over. */
export async function over(page: Page): Promise<void> {
  await page.locator('#ask[aria-disabled="false"]').waitFor();
}

/** The operator's port and the console: true numbers, nothing that is secret, and a page that everybody can use. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { madeIn } from "../../src/cli/keys.ts";
import { type CostShare, type DealerStatus, type ServerStatus, statusSchema } from "../../src/console/status.ts";
import { multiplications } from "../../web/console/words.ts";
import { MAIN, type Started, start } from "../cli/started.ts";
import { chromiumPath } from "./chromium.ts";
import { ACTION_MS } from "./watched.ts";

const CANARY = "xylophone quetzal zeppelin";
const STUDY = "docs/study/results.json";
const PREPARED = 2;
/** Processes start slowly where others keep the cores. */
const START_MS = 300_000;
const version = (createRequire(import.meta.url)("../../package.json") as { version: string }).version;

/** Every key that a status may have. A new one is a decision: what it tells must be public. */
const COMMON_KEYS = [
  "role release now uptimeSeconds ready memory memory.resident memory.peak",
  "load load.running load.waiting load.connections load.keysAtWork load.limits load.limits.running load.limits.waiting",
  "load.limits.each load.limits.perMinute load.limits.connections load.limits.connectionsEach",
  "done done.runs done.texts done.prepared done.dealt",
  "refused refused.full refused.quota refused.rate refused.draining refused.deviations",
  "failed failed.channel failed.party failed.fault",
  "phases phases[].at phases[].phase phases[].seconds studies",
];
const MODEL_KEYS =
  "name architecture activation layers hidden heads intermediate vocabulary longest problem labels gelu softmax embedding answer margin";
const COMPILED_KEYS =
  "length turns scoring temperature flights toServer toClient offline setup macs stock byLayer byGroup";
const SHARE_KEYS = "name toServer toClient offline macs";
const below = (path: string, keys: string) => keys.split(" ").map((key) => `${path}.${key}`);
const SERVER_KEYS = [
  ...COMMON_KEYS.flatMap((line) => line.split(" ")),
  ...["model", "material", "material.bytes", "material.most", "store", "compiled"],
  ...below("model", MODEL_KEYS),
  ...below("compiled[]", COMPILED_KEYS),
  ...below("compiled[].byLayer[]", SHARE_KEYS),
  ...below("compiled[].byGroup[]", SHARE_KEYS),
];
const DEALER_KEYS = [
  ...COMMON_KEYS.flatMap((line) => line.split(" ")),
  ...["maskedWeights", "maskedWeights.count", "maskedWeights.bytes"],
];

/** All keys in a JSON value, with what they lie in. */
function keysOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => keysOf(item, `${path}[]`));
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = path === "" ? key : `${path}.${key}`;
    return [here, ...keysOf(inner, here)];
  });
}

const sorted = (keys: readonly string[]) => [...new Set(keys)].sort();

async function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [MAIN, ...args])) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

let folder: string;
let dealer: Started;
let server: Started;
let keys: Record<"dealer" | "server" | "client", string>;
/** What the client says of its one inference. */
let inference: { bytes: { online: Record<string, number> }; flights: number; length: number };

const get = async (of: Started, path: string) => (await fetch(`http://${of.health}${path}`)).text();
const statusOf = async <T>(of: Started) => JSON.parse(await get(of, "/status")) as T;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "mpcformer-console-"));
  const key = (name: string) => join(folder, name);
  keys = {
    dealer: await madeIn(key("dealer")),
    server: await madeIn(key("server")),
    client: await madeIn(key("client")),
  };
  const own = ["--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"];
  dealer = await start(["deal", "--key", key("dealer"), ...own]);
  const toDealer = ["--dealer", dealer.address, "--dealer-key", keys.dealer];
  const shown = ["--store", key("server-store"), "--studies", STUDY];
  server = await start(["serve", "demo", "--key", key("server"), ...own, ...toDealer, ...shown]);
  const asks = ["--key", key("client"), ...toDealer, "--server", server.address, "--server-key", keys.server, "--json"];
  inference = JSON.parse((await run(["infer", CANARY, ...asks])).stdout);
  const stock = ["--store", key("client-store"), "--tokens", "30", "--count", String(PREPARED)];
  expect((await run(["prepare", ...stock, ...asks])).code).toBe(0);
}, START_MS);

afterAll(async () => {
  await Promise.all([server?.ended("SIGTERM"), dealer?.ended("SIGTERM")]);
  await rm(folder, { recursive: true, force: true });
});

describe("/status", () => {
  test("has the numbers of what happened", async () => {
    const status = await statusOf<ServerStatus>(server);
    expect(status).toMatchObject({ role: "server", release: version, ready: true, store: true, studies: true });
    expect(status.done).toEqual({ runs: 1, texts: 1, prepared: PREPARED, dealt: 0 });
    expect(status.phases.map((p) => p.phase)).toEqual(["offline", "online", "offline", "offline"]);
    expect(status.load).toMatchObject({ running: 0, waiting: 0, keysAtWork: 0, limits: { running: 8, waiting: 64 } });
    expect(status.material).toEqual({ bytes: 0, most: expect.any(Number) });
    expect(status.model).toMatchObject({ name: "demo", architecture: "bert", gelu: "quad", margin: 2 });
    expect(status.compiled.map(({ length, stock }) => [length, stock])).toEqual([
      [inference.length, 0],
      [32, PREPARED],
    ]);
  });

  test("has costs that the inference's own count agrees with, and that add up", async () => {
    const [first] = (await statusOf<ServerStatus>(server)).compiled;
    const { client_to_server, server_to_client } = inference.bytes.online;
    expect([first.flights, first.toServer, first.toClient]).toEqual([
      inference.flights,
      client_to_server,
      server_to_client,
    ]);
    const total = (shares: readonly CostShare[], of: "toServer" | "toClient" | "offline" | "macs") =>
      shares.reduce((sum, s) => sum + s[of], 0);
    for (const measure of ["toServer", "toClient", "offline", "macs"] as const)
      expect(total(first.byLayer, measure)).toBe(total(first.byGroup, measure));
    expect(total(first.byLayer, "macs")).toBe(first.macs);
    // All but the headers of frames.
    expect(total(first.byLayer, "toServer") / first.toServer).toBeGreaterThan(0.97);
  });

  test("of a dealer has its sessions and the masked weights it keeps", async () => {
    const [status, { compiled }] = [await statusOf<DealerStatus>(dealer), await statusOf<ServerStatus>(server)];
    expect(status).toMatchObject({ role: "dealer", ready: true, studies: false });
    expect(status.done).toEqual({ runs: 0, texts: 0, prepared: 0, dealt: 1 + PREPARED });
    expect(status.maskedWeights.count).toBeGreaterThan(10);
    expect(status.maskedWeights.bytes).toBeGreaterThanOrEqual(compiled[0].setup);
  });

  test("has the keys of the allow-list and no others", async () => {
    for (const [of, allowed] of [[server, SERVER_KEYS] as const, [dealer, DEALER_KEYS] as const]) {
      const status = await statusOf<unknown>(of);
      expect(v.safeParse(statusSchema, status).success).toBe(true);
      expect(sorted(keysOf(status))).toEqual(sorted(allowed));
    }
  });

  test("refuses what the allow-list does not have, however deep", async () => {
    const status = await statusOf<ServerStatus>(server);
    const [first] = status.compiled;
    const leaks = [
      { ...status, text: CANARY },
      { ...status, model: { ...status.model, seed: "00" } },
      { ...status, compiled: [{ ...first, byLayer: [{ ...first.byLayer[0], share: [1] }] }] },
    ];
    for (const leak of leaks) expect(v.safeParse(statusSchema, leak).success).toBe(false);
  });

  test("tells neither the text nor anybody's key, and the metrics and the log do not either", async () => {
    for (const of of [server, dealer])
      for (const told of [await get(of, "/status"), await get(of, "/metrics"), await get(of, "/studies"), of.log()]) {
        for (const word of CANARY.split(" ")) expect(told).not.toContain(word);
        for (const fingerprint of Object.values(keys)) expect(told).not.toContain(fingerprint);
      }
  });
});

describe("the operator's port", () => {
  test("sends a strict policy with everything, and knows its paths alone", async () => {
    const page = await fetch(`http://${server.health}/console`);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self'; style-src/);
    const asset = /\.\/(assets\/console-[^"]+\.js)/.exec(await page.text())?.[1];
    expect((await fetch(`http://${server.health}/${asset}`)).headers.get("x-content-type-options")).toBe("nosniff");
    expect((await fetch(`http://${server.health}/`)).url).toBe(`http://${server.health}/console`);
    for (const path of ["/index.html", "/console.html", "/__proto__", "/assets/", "/assets/..%2fconsole.html"])
      expect((await fetch(`http://${server.health}${path}`)).status, path).toBe(404);
    expect(await get(server, "/nothing")).toContain("/console");
  });

  test("tells the console nothing for another site's page, and probes whatever they call it", async () => {
    const status = async (path: string, headers: Record<string, string>) => {
      const [host, port] = server.health.split(":");
      return new Promise<number | undefined>((resolve, reject) => {
        request({ host, port, path, headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on("error", reject)
          .end();
      });
    };
    for (const path of ["/status", "/studies", "/console", "/"]) {
      expect(await status(path, { host: "rebound.attacker.example" }), path).toBe(403);
      expect(await status(path, { origin: "https://attacker.example" }), path).toBe(403);
    }
    expect(await status("/status", {})).toBe(200);
    expect(await status("/status", { origin: `http://${server.health}` })).toBe(200);
    for (const path of ["/livez", "/readyz", "/metrics"])
      expect(await status(path, { host: "mpcformer.namespace.svc.cluster.local" }), path).toBe(200);
  });

  test("lives on after requests that make no sense", async () => {
    await nonsense(server.health);
    expect(await get(server, "/livez")).toBe("alive\n");
  });

  test("stays apart from the page for users, which has no console", async () => {
    const parties = ["--server", "ws://127.0.0.1:1", "--server-key", keys.server];
    const dealers = ["--dealer", "ws://127.0.0.1:2", "--dealer-key", keys.dealer];
    const child = execFile(process.execPath, [
      MAIN,
      "web",
      ...parties,
      ...dealers,
      "--listen",
      "127.0.0.1:0",
      "--json",
    ]);
    try {
      const line = await new Promise<string>((resolve) => child.stdout?.once("data", resolve));
      const { page } = JSON.parse(line) as { page: string };
      expect((await fetch(page)).status).toBe(200);
      await nonsense(new URL(page).host);
      const paths = [
        "console",
        "console.html",
        "assets/../console.html",
        "assets/..%2fconsole.html",
        "status",
        "metrics",
      ];
      for (const path of paths) expect((await fetch(page + path)).status, path).toBe(404);
    } finally {
      child.kill();
    }
  });
});

/** Requests that ended the process once: no path, and a range that ends before it begins. */
async function nonsense(address: string): Promise<void> {
  const lines = ["GET // HTTP/1.0\r\n\r\n", "GET /icon.svg HTTP/1.0\r\nRange: bytes=9-3\r\n\r\n"];
  const [host, port] = address.split(":");
  for (const line of lines)
    await new Promise<void>((resolve, reject) => {
      const socket = connect(Number(port), host, () => socket.end(line));
      socket
        .on("close", () => resolve())
        .on("error", reject)
        .resume();
    });
}

describe("--studies", () => {
  const refused = async (args: readonly string[]) => {
    const { code, stderr } = await run(["serve", "demo", ...args]);
    expect(code).not.toBe(0);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    return stderr;
  };

  test("refuses what is no study's results, in one line", async () => {
    const bad = join(folder, "bad.json");
    const { rows, title } = JSON.parse(await readFile(STUDY, "utf8")) as { title: string; rows: object[] };
    await writeFile(bad, JSON.stringify({ title, rows: [{ ...rows[0], teacher: "0.9" }] }));
    const health = ["--health", "127.0.0.1:0"];
    expect(await refused([...health, "--studies", bad])).toContain("(rows.0.teacher)");
    expect(await refused([...health, "--studies", join(folder, "none.json")])).toContain("cannot read");
    const text = join(folder, "text.json");
    await writeFile(text, "no JSON");
    expect(await refused([...health, "--studies", text])).toContain("cannot be read as JSON");
    expect(await refused(["--studies", STUDY])).toContain("--health");
  });
});

const path = chromiumPath();

describe.skipIf(path === null)("the console's page (needs a Chromium: CHROMIUM=path)", () => {
  let browser: Browser;
  let page: Page;
  const said: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: path!, args: ["--no-sandbox"] });
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(ACTION_MS);
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    await page.goto(`http://${server.health}/console`);
    await page.getByRole("heading", { name: "Server: demo" }).waitFor();
  }, START_MS);

  afterAll(async () => browser?.close());

  const part = (name: string) => page.getByRole("region", { name, exact: true });

  test("shows what the status says", async () => {
    expect(await page.getByRole("status").textContent()).toBe("Live and ready.");
    expect(await page.title()).toBe("Server: demo: mpcformer");
    const tile = page.locator(".tile", { hasText: "Texts answered" }).locator("dd").first();
    expect(await tile.textContent()).toBe("1");
    expect(await part("Model served").textContent()).toContain("BERT, 3 layers of width 128, 4 heads");
    const stock = part("Material in stock").getByRole("row", { name: "32 tokens" });
    expect(await stock.getByRole("cell").first().textContent()).toBe(String(PREPARED));
    expect(await page.getByRole("meter", { name: "Running" }).getAttribute("max")).toBe("8");
  });

  test("draws costs of the length and measure that are chosen", async () => {
    const { compiled } = await statusOf<ServerStatus>(server);
    const most = Math.max(...compiled[0].byLayer.map((layer) => layer.macs));
    await page.getByLabel("Padded length").selectOption(`${inference.length} tokens`);
    await page.getByLabel("Measure").selectOption("Multiplications");
    const bars = page.getByRole("img", {
      name: `Multiplications by layer; the most is ${multiplications(most)} of embeddings`,
    });
    await bars.waitFor();
    expect(await bars.locator("rect").count()).toBe(compiled[0].byLayer.length);
    expect(await part("Recent phases").locator("svg .mark circle").count()).toBeGreaterThan(0);
  });

  test("draws a study, task by task", async () => {
    const study = part("Study");
    await study.getByLabel("Task").selectOption("mrpc");
    expect(await study.getByRole("img").getAttribute("aria-label")).toContain("quad + 2quad has 86.2");
    expect(await study.getByRole("row", { name: /quad \+ 2quad/ }).textContent()).toContain("yes, served now");
  });

  test("is reached by the keyboard: choices, and the tables under the charts", async () => {
    await page.locator("summary").first().focus();
    await page.keyboard.press("Enter");
    expect(await part("Cost by layer").isVisible()).toBe(true);
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Cost by layer");
  });

  test.each([
    [320, "light"],
    [320, "dark"],
    [1280, "light"],
    [1280, "dark"],
  ] as const)("fits %i pixels, and nothing stands in anybody's way (%s)", async (width, colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await page.evaluate(() => {
      for (const details of document.querySelectorAll("details")) details.open = true;
    });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    await page.evaluate(axe.source);
    const found = await page.evaluate(async () => {
      const { violations } = await (globalThis as unknown as { axe: typeof axe }).axe.run();
      return violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes[0].html.slice(0, 120)}`);
    });
    expect(found).toEqual([]);
    expect(said).toEqual([]);
  });

  test("shows a dealer", async () => {
    const other = await browser.newPage();
    other.setDefaultTimeout(ACTION_MS);
    await other.goto(`http://${dealer.health}/console`);
    await other.getByRole("heading", { name: "Dealer" }).waitFor();
    expect(await other.locator(".tile", { hasText: "Sessions dealt" }).locator("dd").textContent()).toBe("3");
    await other.close();
  });

  test("says when the service is gone", async () => {
    await server.ended("SIGTERM");
    await page.getByText(/^Not live: the service does not answer\. What is shown is of \d\d:/).waitFor();
    expect(await page.locator("main.old").count()).toBe(1);
  });
});

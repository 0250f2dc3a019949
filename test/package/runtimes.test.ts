/**
 * The package in other runtimes than Node.js, where npm brings them: their programs are packages of npm's, which need no script to run.
 * They are installed beside the package, for this test alone.
 */
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, type TestContext } from "vitest";
import { type Started, start } from "../cli/started.ts";
import { type Installed, install } from "./installed.ts";

const run = promisify(execFile);
const OWN = ["--listen", "127.0.0.1:0"];
const TEXT = "a gripping, funny and beautifully acted film";
const PROGRAM = `
import { connect, pipeline } from "mpcformer";
const [server, dealer] = process.argv.slice(-2).map((address) => ({ url: "tcp://" + address }));
const client = await connect({ server, dealer });
const [{ label }] = await pipeline("text-classification", client)("${TEXT}");
await client.close();
console.log(label);
`;

const RUNTIMES = [
  {
    name: "Deno",
    packages: ["deno@2.9.6"],
    places: ["@deno/linux-x64-glibc/deno", "@deno/linux-arm64-glibc/deno"],
    args: ["run", "--allow-all"],
  },
  {
    name: "Bun",
    packages: ["bun@1.4.5"],
    places: ["@oven/bun-linux-x64/bin/bun", "@oven/bun-linux-aarch64/bin/bun"],
    args: ["run"],
  },
] as const;

let installed: Installed;
let services: Started[] = [];
beforeAll(async () => {
  installed = await install();
  await writeFile(join(installed.folder, "ask.mjs"), PROGRAM);
  await writeFile(join(installed.folder, "package.json"), '{ "private": true }\n');
  const deal = await start(["deal", ...OWN]);
  services = [await start(["serve", "demo", "--dealer", deal.address, ...OWN]), deal];
});
afterAll(async () => {
  for (const one of services) await one.ended("SIGKILL");
  await rm(installed.folder, { recursive: true, force: true });
});

/** The runtime's program; skips the test where npm brings none that runs here. */
async function broughtBy(
  { skip }: TestContext,
  { name, packages, places }: (typeof RUNTIMES)[number],
): Promise<string> {
  const folder = join(installed.folder, `${name}-itself`);
  const options = [
    "--prefix",
    folder,
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--no-save",
    "--prefer-offline",
    "--fetch-retries=0",
  ];
  const failed = await run("npm", ["install", ...options, ...packages]).then(
    () => null,
    ({ message }: Error) => message,
  );
  if (failed !== null) return skip(`npm brings no ${name} here`);
  for (const place of places) {
    const program = join(folder, "node_modules", place);
    if (await run(program, ["--version"]).catch(() => null)) return program;
  }
  return skip(`npm brings no ${name} that runs on this machine`);
}

it.for(RUNTIMES)("$name classifies a text", async (runtime, context) => {
  const program = await broughtBy(context, runtime);
  const [server, dealer] = services.map(({ address }) => address);
  const { stdout } = await run(program, [...runtime.args, "ask.mjs", server, dealer], { cwd: installed.folder });
  expect(stdout).toBe("positive\n");
});

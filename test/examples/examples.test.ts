/** Each example runs as a user would run it, in a folder where the package is installed. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { install } from "../package/installed.ts";

const run = promisify(execFile);
let folder = "";
let services: ChildProcess[] = [];

beforeAll(async () => {
  ({ folder } = await install());
  await cp("examples", join(folder, "examples"), { recursive: true });
});
afterEach(() => {
  for (const service of services) service.kill("SIGKILL");
  services = [];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Starts examples/serve.mjs; resolves to the addresses that it prints. */
async function serve(model: string, texts: string): Promise<{ SERVER: string; DEALER: string }> {
  const args = [join(folder, "examples", "serve.mjs"), resolve("assets", model), texts, "0", "0"];
  const service = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  services.push(service);
  let DEALER = "";
  for await (const line of createInterface({ input: service.stdout })) {
    const [, party, url] = /^(\w+) (tcp:\S+\d)/.exec(line) ?? [];
    if (party === "dealer") DEALER = url;
    if (party === "server") return { SERVER: url, DEALER };
  }
  throw new Error("examples/serve.mjs ended before it listened");
}

const example = (name: string, env: NodeJS.ProcessEnv, ...args: string[]) =>
  run(process.execPath, [join(folder, "examples", name), ...args], { env: { ...process.env, ...env } });

describe("the examples", () => {
  it("classify one text and many, against a service in a program of its own", async () => {
    const parties = await serve("demo", resolve("assets/calibration.txt"));
    const one = await example("classify.mjs", parties, "a gripping, funny and beautifully acted film");
    expect(one.stdout).toMatch(
      /^positive \[ '0\.0\d\d', '0\.9\d\d' \]\n\d+\.\d\d s online in \d+ flights, \d+ bytes sent\n$/,
    );
    const likePipelines = await example("pipeline.mjs", parties, "a dull and lifeless mess", "a great joy");
    expect(likePipelines.stdout).toMatch(/^negative \d+\.\d%\npositive \d+\.\d%\n$/);
    expect(likePipelines.stderr).toBe("2 of 2\n");
    const asking = example("batch.mjs", parties);
    asking.child.stdin!.end("a dull and lifeless mess\n\na great joy\n");
    const lines = (await asking).stdout.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { line: 1, label: "negative" },
      { line: 2, error: expect.stringContaining("empty") as string },
      { line: 3, label: "positive" },
    ]);
  });

  it("continue a text", async () => {
    const texts = join(folder, "stories.txt");
    await writeFile(texts, "Once upon a time, there was a little girl named Lily.\nOne day, a dog found a big ball.\n");
    const parties = await serve("storyteller", texts);
    const { stdout } = await example("generate.mjs", parties, "Once upon a time");
    expect(stdout).toMatch(/^Once upon a time\S* \w+ /);
  });

  it("bundle a page with esbuild, without an option but where to write it", async () => {
    const outfile = join(folder, "examples", "page", "bundle.js");
    const entryPoints = [join(folder, "examples", "page", "main.js")];
    const { warnings } = await build({ entryPoints, bundle: true, format: "esm", outfile, logLevel: "silent" });
    expect(warnings).toEqual([]);
    expect(await readFile(outfile, "utf8")).not.toMatch(/["']node:/);
  });

  it("are all named in their README", async () => {
    const readme = await readFile("examples/README.md", "utf8");
    const entries = await readdir("examples", { withFileTypes: true });
    for (const entry of entries.filter(({ name }) => !["README.md", "addresses.mjs"].includes(name)))
      expect(readme).toContain(`](${entry.name}${entry.isDirectory() ? "/" : ""})`);
  });
});

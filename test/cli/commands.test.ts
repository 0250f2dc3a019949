/** The built program, as a user runs it: results, and one clear line for every mistake. */
import { execFile, spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { list } from "../../src/approximations/registry.ts";
import { inside } from "./inside.ts";
import { MAIN, start } from "./started.ts";

const FIXTURES = fileURLToPath(new URL("../models/fixtures", import.meta.url));

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "commands-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function mpcformer(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 300_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out, err });
    });
  });
}

describe("results", () => {
  it("plan tells the cost of a well-known shape, the same each time, and exact costs less than twice", async () => {
    const run = async (...more: string[]) =>
      JSON.parse((await inside("plan", "bert-tiny", "--length", "32", "--json", ...more)).out);
    const quad = await run("--gelu", "quad", "--softmax", "2quad");
    expect(await run("--gelu", "quad", "--softmax", "2quad")).toEqual(quad);
    expect(quad.online.flights).toBeLessThanOrEqual(2 * 30);
    expect(quad.offline.bytes.dealer_to_client).toBe(0);
    expect(quad.steps.length).toBeGreaterThan(20);
    const exact = await run("--gelu", "exact", "--softmax", "exact");
    for (const way of ["client_to_server", "server_to_client"]) {
      expect(exact.online.bytes[way]).toBeLessThan(2 * quad.online.bytes[way]);
    }
  });

  it("plan tells what a check of clients costs", async () => {
    const args = ["plan", "bert-tiny", "--length", "32", "--network", "20,100"];
    const all = JSON.parse((await inside(...args, "--verify", "all", "--json")).out);
    const part = JSON.parse((await inside(...args, "--verify", "16", "--json")).out);
    const none = JSON.parse((await inside(...args, "--json")).out);
    expect(none.check).toBe(undefined);
    expect(all.check.offline.bytes.dealer_to_server).toBeGreaterThan(part.check.offline.bytes.dealer_to_server);
    expect(part.check.macs * 16).toBe(all.check.macs);
    // One flight each way of 20 ms there and back.
    expect(part.network.seconds - none.network.seconds).toBeGreaterThan(0.02);
    const { out } = await inside(...args, "--verify", "16");
    expect(out).toMatch(/^the check of one opening in 16: \S+ \wB more from the dealer; before the answer /m);
  });

  it("bench measures what plan says, over three processes", async () => {
    const args = ["bert-tiny", "--length", "16", "--gelu", "quad", "--softmax", "2quad", "--json"];
    const measured = JSON.parse((await mpcformer("bench", ...args)).out);
    const planned = JSON.parse((await inside("plan", ...args)).out);
    expect(measured.online).toEqual(planned.online);
    expect(measured.offline).toEqual(planned.offline);
    expect(measured.macs).toBe(planned.macs);
    expect(measured.max_abs_logit_error).toBeLessThan(0.05);
    for (const party of ["client", "server", "dealer"]) expect(measured.peak_rss_mb[party]).toBeGreaterThan(20);
    expect(measured.seconds.online).toBeGreaterThan(0);
  });

  it("bench compares pairs over a network, several texts side by side on two threads, and draws", async () => {
    const svg = join(dir, "bench.svg");
    const args = ["bench", "bert-tiny", "--length", "8", "--runs", "1", "--svg", svg, "--json"];
    const pairs = await mpcformer(...args, "--pairs", "quad+2quad,exact+exact", "--batch", "2", "--threads", "2");
    const [quad, exact] = JSON.parse(pairs.out);
    expect([quad.gelu, quad.softmax, exact.gelu, exact.softmax]).toEqual(["quad", "2quad:5", "exact", "exact"]);
    expect(quad.online.flights).toBeLessThan(exact.online.flights);
    for (const result of [quad, exact]) expect(result.max_abs_logit_error).toBeLessThan(0.05);
    expect(await readFile(svg, "utf8")).toMatch(/^<svg .*quad \+ 2quad:5.*<\/svg>\n$/s);
    // 5 ms there, 5 ms back: 42 flights take 210 ms at least.
    const slow = JSON.parse((await mpcformer(...args, "--network", "10,1000")).out);
    expect(slow.seconds.online).toBeGreaterThan(0.2);
    for (const party of ["client", "server"]) expect(slow.spent[party].norm.waiting).toBeGreaterThan(0);
    expect(await readFile(svg, "utf8")).toContain("10,1000");
  });

  it("doctor says what runs", async () => {
    const found = JSON.parse((await mpcformer("doctor", "--json")).out);
    expect(["wasm", "x86-64-v3", "x86-64-v4", "x86-64-v4-ifma"]).toContain(found.kernels);
    expect(found.gmacs.words).toBeGreaterThan(0.01);
    expect((await inside("doctor")).out).toMatch(/^Node\.js v\d+.*\nkernels: /);
  });

  it("demo answers with the model that ships, and shows what was seen", async () => {
    const { code, out } = await mpcformer("demo", "an absolute delight from start to finish", "--json");
    expect(code).toBe(0);
    const result = JSON.parse(out);
    expect(result.label).toBe("positive");
    expect(result.max_abs_logit_error).toBeLessThan(0.05);
    expect(result.seen.by_server).toMatch(/^[0-9a-f]{48}$/);
    const bad = JSON.parse((await mpcformer("demo", "a dull, lifeless and tedious mess", "--json")).out);
    expect(bad.label).toBe("negative");
  });

  it("demo --generate tells a story, token for token that of the clear", async () => {
    const { code, out } = await mpcformer("demo", "--generate", "One day, a girl", "--max-tokens", "6", "--json");
    expect(code).toBe(0);
    const result = JSON.parse(out);
    expect(result).toMatchObject({ prompt: "One day, a girl", tokens: 6, equal_tokens: 6 });
    expect(result.text).toMatch(/^[\w ,.'"!?\n]+$/);
    expect(result.seen.by_server).toMatch(/^[0-9a-f]{48}$/);
    const shown = await mpcformer("demo", "--generate", "--max-tokens", "2");
    expect(shown.out).toMatch(/^Once upon a time, there was a little /);
    expect(shown.out).toContain("2 of 2 tokens are those of the same model in the clear");
  });

  it("answers over TLS to whom it knows, tells health and metrics, and goes down gently", async () => {
    const folder = (name: string) => join(dir, "keys", name);
    const key = async (name: string) => (await inside("keys", folder(name))).out.trim();
    const [server, dealer, client, stranger] = [await key("s"), await key("d"), await key("c"), await key("x")];
    expect(await key("c")).toBe(client);
    expect((await stat(join(folder("c"), "key.pem"))).mode & 0o777).toBe(0o600);
    const list = join(dir, "clients.txt");
    await writeFile(list, `# who may ask\n${client} the tests\n`);
    const dealing = await start(["deal", "--key", folder("d"), "--listen", "127.0.0.1:0"]);
    const health = ["--health", "127.0.0.1:0", "--log", "json"];
    const args = ["serve", "demo", "--key", folder("s"), "--dealer-key", dealer, "--dealer", dealing.address];
    const serving = await start([...args, "--peers", list, "--listen", "127.0.0.1:0", ...health]);
    const ask = (who: string, serverKey = server) =>
      mpcformer(
        ...["infer", "a dull film, CANARY", "--key", folder(who), "--server-key", serverKey, "--dealer-key", dealer],
        ...["--server", serving.address, "--dealer", dealing.address, "--json"],
      );
    expect(JSON.parse((await ask("c")).out).label).toBe("negative");
    const asked = ["infer", "a dull film", "--key", folder("c"), "--server-key", server, "--dealer-key", dealer];
    const labels = ["--server", serving.address, "--dealer", dealing.address, "--labels", "films, ships"];
    expect((await mpcformer(...asked, ...labels)).err).toMatch(/does not tell whether a text entails another/);
    const audit = ["audit", "--dealer", dealing.address, "--dealer-key", dealer, "--key", folder("c"), "--json"];
    expect(JSON.parse((await mpcformer(...audit, "--sessions", "1")).out)).toMatchObject({ sessions: 1 });
    expect((await ask("x")).err).toMatch(new RegExp(`key ${stranger} is not on the list here`));
    expect((await ask("c", dealer)).err).toMatch(/is not the one expected: check with its owner/);
    const plain = await mpcformer("infer", "x", "--server", serving.address, "--dealer", dealing.address);
    expect(plain.err).toMatch(/does it ask for keys\?/);
    const get = async (path: string) => fetch(`http://${serving.health}${path}`);
    expect((await get("/livez")).status).toBe(200);
    expect((await get("/readyz")).status).toBe(200);
    const metrics = await (await get("/metrics")).text();
    expect(metrics).toMatch(/mpcformer_events_total\{event="answered",reason=""\} 1/);
    expect(metrics).toContain("mpcformer_running 0");
    expect(metrics).toContain("mpcformer_material_bytes 0");
    const [code] = await serving.ended("SIGTERM");
    expect(code).toBe(0);
    await dealing.ended("SIGTERM");
    const lines = serving
      .log()
      .split("\n")
      .filter((line) => line.startsWith("{"));
    expect(lines.map((line) => JSON.parse(line).event)).toContain("answered");
    expect(serving.log() + metrics).not.toMatch(/CANARY|dull/);
  });

  it("serves a folder, single texts and pairs, and evaluates it under MPC", async () => {
    const data = join(dir, "pairs.tsv");
    const rows = ["the film is slow\tits ending is surprising\t0", "prices rose\tthe music was bad\t1"];
    await writeFile(data, `sentence1\tsentence2\tlabel\n${rows.join("\n")}\n`);
    const folder = join(dir, "bert-cased");
    await cp(join(FIXTURES, "bert-cased"), folder, { recursive: true });
    const standIns = ["--gelu", "quad", "--softmax", "2quad"];
    const texts = join(dir, "texts.txt");
    await writeFile(texts, "the film is slow and its ending is surprising\nprices rose\nthe music was bad\n");
    const args = ["evaluate", folder, "--data", data, ...standIns, "--json"];
    expect((await inside(...args, "--private")).err).toMatch(/has no ranges: run .?"mpcformer calibrate /);
    const calibrated = JSON.parse((await inside("calibrate", folder, "--data", texts, ...standIns, "--json")).out);
    expect(calibrated).toMatchObject({ texts: 3, agreement: 1 });
    expect(calibrated.max_abs_logit_error).toBeLessThan(0.05);
    const clear = JSON.parse((await inside(...args)).out);
    const hidden = JSON.parse((await mpcformer(...args, "--private")).out);
    expect(clear).toMatchObject({ metric: "accuracy", texts: 2 });
    expect(hidden).toMatchObject({ agreement: 1, value: clear.value });
    expect(hidden.max_abs_logit_error).toBeLessThan(0.05);
  });

  it("lists the approximations and helps on every command", async () => {
    expect((await inside("approximations")).out).toContain("softmax 2quad:5");
    const help = await mpcformer("--help");
    for (const name of ["demo", "serve", "infer", "plan", "evaluate", "pretrain", "finetune", "distill", "study"])
      expect(help.out).toContain(name);
    expect((await inside("infer", "--help")).out).toContain("--server <address>");
    const { out } = await inside("plan", "--help");
    for (const { kind, name } of list())
      expect(out.replace(/\s+/g, " "), kind).toMatch(new RegExp(`[ ,]${name}[,;[ ]`));
  });
});

describe("mistakes end in one line that says what to do, and a code that is not 0", () => {
  const wrong: [string, string[], RegExp][] = [
    [
      "no such model",
      ["plan", "/no/such/folder", "--length", "16"],
      /no such model: give a Hugging Face folder, a .gguf file, or one of demo, storyteller, bert-tiny/,
    ],
    ["a shape to serve", ["serve", "bert-base"], /bert-base is a shape with random weights, for plan and bench alone/],
    ["a folder without ranges", ["serve", join(FIXTURES, "gpt2")], /has no ranges: run "mpcformer calibrate .*gpt2 --/],
    ["no length", ["plan", "bert-tiny"], /required option '--length <n>'/],
    ["a length that is none", ["plan", "bert-tiny", "--length", "x"], /--length takes a whole number from 1/],
    ["a length beyond the model", ["plan", "bert-tiny", "--length", "600"], /--length takes 3 to 512/],
    [
      "an unknown approximation",
      ["plan", "bert-tiny", "--length", "16", "--gelu", "cubic"],
      /unknown gelu "cubic": use one of/,
    ],
    ["an unknown command", ["dance"], /unknown command 'dance'/],
    ["an empty text", ["demo", ""], /empty/],
    ["a length that is no number", ["demo", "--generate", "--max-tokens", "x"], /--max-tokens/],
    [
      "helpers without keys",
      ["serve", "demo", "--sessions-for", "helpers.txt"],
      /tells peers by their keys: give --key DIR/,
    ],
    ["no such file", ["evaluate", "demo", "--data", "/no/such/file"], /cannot read/],
    ["nobody listening", ["infer", "SECRET", "--server", "127.0.0.1:1"], /no server listens at 127.0.0.1:1/],
    ["no address", ["infer", "SECRET", "--server", "here"], /is no address: write host:port/],
    ["an open network", ["infer", "SECRET", "--server", "10.0.0.1:1"], /not encrypted/],
    ["no network", ["bench", "bert-tiny", "--length", "8", "--network", "fast"], /--network takes loopback, lan, wan/],
    ["no pairs", ["bench", "bert-tiny", "--length", "8", "--pairs", "quad"], /--pairs takes all, or pairs/],
    ["no threads", ["deal", "--threads", "0", "--listen", "127.0.0.1:0"], /--threads takes a whole number/],
    ["ahead without a store", ["infer", "text", "--ahead", "1"], /give --store DIR/],
    ["labels without one", ["infer", "SECRET", "--labels", "a,,b"], /--labels takes labels with commas/],
    ["a template without labels", ["infer", "SECRET", "--template", "{}!"], /give --labels a,b,c as well/],
    ["labels and a pair", ["infer", "SECRET", "--labels", "a,b", "--pair", "x"], /leave --pair and --ahead out/],
    ["no compiler", ["build-native", "--cc", "/no/such/cc"], /no C compiler|x64 alone|Node's headers/],
    ["keys for one peer alone", ["infer", "SECRET", "--server-key", "00"], /--server-key takes a key's fingerprint/],
    ["a key that is not there", ["deal", "--key", "/no/such"], /no key in \/no\/such: make one/],
    ["an unknown log format", ["deal", "--log", "xml"], /--log.*Allowed choices are text, json, none/],
    ["no days to keep", ["infer", "SECRET", "--keep-days", "0"], /--keep-days takes a whole number from 1$/],
    ["a number in exponents", ["deal", "--per-key", "1e400"], /--per-key takes a whole number from 1$/],
    ["a bad deadline", ["deal", "--deadline", "-1", "--listen", "127.0.0.1:0"], /--deadline takes seconds/],
  ];
  it.each(wrong)("%s", async (_what, args, message) => {
    const { code, err, out } = await inside(...args);
    expect([1, 2]).toContain(code);
    expect(err.trim().split("\n").at(-1)).toMatch(message);
    expect(err).not.toMatch(/\n {4}at |SECRET/);
    expect(out).toBe("");
  });

  it("a text longer than the model takes", async () => {
    const { code, err } = await inside("demo", "word ".repeat(400));
    expect(code).not.toBe(0);
    expect(err).toMatch(/tokens/);
    expect(err).not.toMatch(/word word|\n {4}at /);
  });

  it.each([
    ["an architecture that is not supported", { model_type: "t5" }],
    ["an activation that is not supported", { model_type: "bert", hidden_act: "swish9" }],
  ])("%s", async (_what, config) => {
    const folder = await mkdtemp(join(dir, "model-"));
    const known = JSON.parse(await readFile(join(FIXTURES, "bert-cased", "config.json"), "utf8"));
    await writeFile(join(folder, "config.json"), JSON.stringify({ ...known, ...config }));
    const { code, err } = await inside("plan", folder, "--length", "16");
    expect(code).not.toBe(0);
    expect(err.trim().split("\n").length).toBe(1);
    expect(err).toMatch(/not supported|use /);
  });

  it("a server that accepts and stays silent", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const { code, err } = await mpcformer("infer", "SECRET", "--server", `127.0.0.1:${port}`, "--deadline", "0.3");
    expect(code).not.toBe(0);
    expect(err).toMatch(/no answer from the server within 0.3 s: is it running/);
    silent.close();
  });

  it("a port that is taken", async () => {
    const taken = spawn(process.execPath, [MAIN, "deal", "--listen", "127.0.0.1:0", "--json"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const line = await new Promise<string>((resolve) =>
      taken.stdout.once("data", (d: Buffer) => resolve(d.toString())),
    );
    const { port } = (JSON.parse(line) as { listening: { port: number } }).listening;
    const { code, err } = await mpcformer("deal", "--listen", `127.0.0.1:${port}`);
    expect(code).not.toBe(0);
    expect(err).toMatch(/another program has the port/);
    taken.kill();
  });
});

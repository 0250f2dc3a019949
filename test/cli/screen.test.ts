/** On a terminal, progress and results do not overwrite each other: what stands on the screen in the end is whole. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CTRL_C, CTRL_D, hasTerminal, onScreen, type Screen } from "./screen.ts";
import { piped, type Started, start } from "./started.ts";

const FIXTURES = fileURLToPath(new URL("../models/fixtures", import.meta.url));
const COMMANDS = fileURLToPath(new URL("../../src/cli/commands", import.meta.url));
const BAR = /[█░]/;
const PROGRESS = /[█░]| left$/;
const PROMPT = "Once upon a time";

let dir: string;
const services: Started[] = [];
const peers: string[] = [];
const at = (name: string) => join(dir, name);

beforeAll(async () => {
  if (!hasTerminal) return;
  dir = await mkdtemp(join(tmpdir(), "screen-"));
  await cp(join(FIXTURES, "bert-cased"), at("model"), { recursive: true });
  await cp(join(FIXTURES, "gpt2"), at("decoder"), { recursive: true });
  const texts = ["the film is slow", "its ending is surprising", "prices rose", "the music was bad"];
  await writeFile(at("texts.txt"), `${Array(20).fill(texts.join(", and ")).join("\n")}\n`);
  await writeFile(at("rows.tsv"), `sentence\tlabel\n${texts.map((text, i) => `${text}\t${i % 2}`).join("\n")}\n`);
  for (const model of ["demo", "storyteller"]) {
    const own = ["--listen", "127.0.0.1:0"];
    const dealer = await start(["deal", ...own]);
    const server = await start(["serve", model, ...own, "--dealer", dealer.address, "--store", at(model)]);
    services.push(server, dealer);
    peers.push("--server", server.address, "--dealer", dealer.address);
  }
});
afterAll(async () => {
  for (const service of services) await service.ended("SIGTERM");
  if (dir !== undefined) await rm(dir, { recursive: true, force: true });
});

const withDemo = () => peers.slice(0, 4);
const withStoryteller = () => peers.slice(4);
const small = ["--threads", "1", "--seed", "2", "--batch", "4"];
const teaching = () => ["--data", at("rows.tsv"), "--length", "16", "--epochs", "3", ...small];

/** Every command with progress: how it is run, and the lines that its result has on the screen. */
const commands: Readonly<Record<string, { readonly args: () => string[]; readonly says: readonly RegExp[] }>> = {
  demo: { args: () => ["demo"], says: [/^text: /, /^label: positive$/, /^dealer {2}saw/] },
  infer: {
    args: () => ["infer", "a dull film", ...withDemo(), "--store", at("store"), "--ahead", "1"],
    says: [/^label: negative$/, /^time: /],
  },
  generate: {
    args: () => ["generate", PROMPT, ...withStoryteller(), "--max-tokens", "12"],
    says: [/^12 tokens; the first after/, /^the server learns: /],
  },
  audit: {
    args: () => ["audit", "--dealer", peers[3], "--sessions", "2"],
    says: [/^2 sessions, \d+ messages, [\d.]+ MB: all are what the seeds say$/],
  },
  prepare: {
    args: () => ["prepare", ...withDemo(), "--store", at("store"), "--count", "2"],
    says: [/^prepared: \d times a text of up to 32 tokens$/],
  },
  plan: {
    args: () => ["plan", "bert-tiny", "--length", "64"],
    says: [/^bert-tiny, 64 tokens/, /^online flights: \d+/],
  },
  bench: {
    args: () => ["bench", "bert-tiny", "--length", "8", "--runs", "2"],
    says: [/^bert-tiny, 8 tokens/, /^largest logit error against floats/],
  },
  evaluate: {
    args: () => ["evaluate", at("model"), "--data", at("rows.tsv"), "--private", "--calibrate", at("texts.txt")],
    says: [/^accuracy: 0\.\d+ on 4 texts under MPC$/, /^largest logit error: /],
  },
  calibrate: {
    args: () => ["calibrate", at("model"), "--data", at("texts.txt")],
    says: [/^wrote .*mpcformer\.json: \d+ ranges/],
  },
  pretrain: {
    args: () => [
      ...["pretrain", "--texts", at("texts.txt"), "--out", at("small"), "--vocabulary", "120", "--layers", "1"],
      ...["--width", "16", "--heads", "2", "--intermediate", "16", "--length", "16", "--epochs", "3", ...small],
    ],
    says: [/^learning 120 pieces of words$/, /^\d+ steps in \d+ s; loss/, /^wrote /],
  },
  finetune: {
    args: () => ["finetune", "--from", at("model"), "--out", at("teacher"), ...teaching()],
    says: [/^\d+ steps in \d+ s/, /^wrote /],
  },
  distill: {
    args: () => [
      ...["distill", "--teacher", at("teacher"), "--data", at("rows.tsv"), "--out", at("student")],
      ...["--layers-epochs", "2", "--prediction-epochs", "2", ...small],
    ],
    says: [/^layers: \d+ steps/, /^prediction: \d+ steps/, /^wrote /],
  },
  serve: {
    args: () => ["serve", at("model"), "--calibrate", at("texts.txt"), "--listen", "127.0.0.1:0"],
    says: [/^serving .* on 127\.0\.0\.1:\d+, until Ctrl\+C$/],
  },
};

function whole({ code, sent, lines }: Screen, says: readonly RegExp[]): void {
  const screen = lines.join("\n");
  expect(code, screen).toBe(0);
  expect(sent, "there was a bar").toMatch(BAR);
  for (const line of lines) expect(line).not.toMatch(PROGRESS);
  for (const one of says)
    expect(
      lines.some((line) => one.test(line)),
      `${one} in\n${screen}`,
    ).toBe(true);
}

describe.skipIf(!hasTerminal)("on a terminal (needs `script` of util-linux)", () => {
  it("every command with progress is among these", async () => {
    const files = (await readdir(COMMANDS)).map((file) => file.replace(".ts", ""));
    const having = [];
    for (const name of files) {
      // `new Progress(true)` is one that shows nothing; `openPriced` has one of its own.
      if (/new Progress\((?!true\))|openPriced\(/.test(await readFile(join(COMMANDS, `${name}.ts`), "utf8")))
        having.push(name);
    }
    // `chat` needs a template of its own: chat.test.ts has it on a terminal.
    expect([...Object.keys(commands), "chat"].sort()).toEqual(having.sort());
  });

  it.each(Object.keys(commands))("%s", async (name) => {
    const { args, says } = commands[name];
    whole(await onScreen(args(), 100, name === "serve" ? [[/until Ctrl\+C/, CTRL_C]] : []), says);
  });

  it("a text that is continued stands there whole, 100 columns wide and 24", async () => {
    const args = ["generate", PROMPT, ...withStoryteller(), "--max-tokens", "8"];
    const { out } = await piped(args);
    expect(out.length).toBeGreaterThan(PROMPT.length + 8);
    for (const columns of [100, 24]) {
      const { lines, sent } = await onScreen(args, columns);
      expect(sent).toMatch(BAR);
      expect(lines.slice(0, out.trimEnd().split("\n").length).join("\n"), `${columns} columns`).toBe(out.trimEnd());
    }
  });

  it("a text is asked for, and answered", async () => {
    const asks = /text: /;
    const screen = await onScreen(["infer", ...withDemo()], 100, [[asks, "a dull film\r"]]);
    whole(screen, [/^text: a dull film$/, /^label: negative$/]);
    const { lines, code } = await onScreen(["generate", ...withStoryteller(), "--max-tokens", "4"], 100, [
      [asks, `${PROMPT}\r`],
    ]);
    expect([code, lines[0]]).toEqual([0, `text: ${PROMPT}`]);
    expect(lines[1]).toMatch(new RegExp(`^${PROMPT}.+`));
  });

  it("lines are asked for until the input ends", async () => {
    const { lines, code } = await onScreen(["infer", "--lines", ...withDemo()], 1000, [
      [/text: /, "a dull film\r"],
      [/"line":1,.*text: /s, "a joy\r"],
      [/"line":2,.*text: /s, CTRL_D],
    ]);
    expect(code).toBe(0);
    const answers = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    expect(answers.map(({ line, label }) => [line, label])).toEqual([
      [1, "negative"],
      [2, "positive"],
    ]);
  });

  it("whoever is asked for a text may go away", async () => {
    expect((await onScreen(["infer", ...withDemo()], 100, [[/text: /, CTRL_C]])).code).toBe(130);
    const { code, lines } = await onScreen(["infer", ...withDemo()], 100, [[/text: /, CTRL_D]]);
    expect([code, lines.at(-1)]).toEqual([1, "mpcformer: no text was given"]);
  });

  it("a perplexity, privately", async () => {
    const args = ["evaluate", at("decoder"), "--data", at("texts.txt"), "--limit", "2", "--private"];
    whole(await onScreen([...args, "--calibrate", at("texts.txt")]), [/^perplexity: /, /^largest logit error/]);
  });

  it("an error", async () => {
    const { code, lines } = await onScreen(["evaluate", at("model"), "--data", at("texts.txt"), "--calibrate", "/no"]);
    expect(code).not.toBe(0);
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatch(/^mpcformer: cannot read \/no/);
  });
});

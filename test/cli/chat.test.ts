/** `chat` and `generate --chat`: the folder's template writes the conversation, and a turn costs its new tokens. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CTRL_D, hasTerminal, onScreen } from "./screen.ts";
import { MAIN, piped, type Started, start } from "./started.ts";

const STORYTELLER = fileURLToPath(new URL("../../assets/storyteller", import.meta.url));
const TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m['content'] }} {% endfor %}";
const FIRST = "Once upon a time, there was a little girl";

let dir: string;
let services: Started[] = [];
let peers: string[];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "chat-"));
  const folder = join(dir, "chatty");
  await cp(STORYTELLER, folder, { recursive: true });
  const config = join(folder, "tokenizer_config.json");
  const own = JSON.parse(await readFile(config, "utf8").catch(() => "{}"));
  await writeFile(config, JSON.stringify({ ...own, chat_template: TEMPLATE }));
  const deal = await start(["deal", "--listen", "127.0.0.1:0"]);
  const serve = await start(["serve", folder, "--dealer", deal.address, "--listen", "127.0.0.1:0"]);
  services = [serve, deal];
  peers = ["--server", serve.address, "--dealer", deal.address, "--json"];
});
afterAll(async () => {
  for (const one of services) await one.ended("SIGTERM");
  await rm(dir, { recursive: true, force: true });
});

async function said(lines: readonly string[], ...options: string[]) {
  const child = spawn(process.execPath, [MAIN, "chat", ...peers, ...options], { stdio: ["pipe", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stdin.end(`${lines.join("\n")}\n`);
  expect((await once(child, "close"))[0]).toBe(0);
  return out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { reply: string; read: number; again: boolean; tokens: number });
}

it("answers each message behind all before, from the cache while there is room", async () => {
  const [one, two] = await said([FIRST, "", "She was happy."], "--positions", "24", "--max-tokens", "5");
  expect([one.tokens, two.tokens]).toEqual([5, 5]);
  expect([one.again, two.again]).toEqual([false, false]);
  const whole = `${FIRST} ${one.reply} She was happy. `;
  const anew = JSON.parse((await piped(["generate", whole, "--max-tokens", "5", ...peers])).out);
  expect(two.reply).toBe(anew.text);
  // What was said, and the token of the answer that was cut off.
  expect(two.read).toBeLessThan(one.read + 5);
  const short = await said([FIRST, "She was happy."], "--positions", "6", "--max-tokens", "5");
  expect(short.map(({ again }) => again)).toEqual([false, true]);
  expect(short[1].reply).toBe(anew.text);
});

it("answers one message by generate --chat", async () => {
  const { prompt, text } = JSON.parse((await piped(["generate", FIRST, "--chat", "--max-tokens", "3", ...peers])).out);
  const plain = JSON.parse((await piped(["generate", `${FIRST} `, "--max-tokens", "3", ...peers])).out);
  expect([prompt, text]).toEqual([FIRST, plain.text]);
});

it.skipIf(!hasTerminal)("stands whole on a terminal, message by message (needs `script` of util-linux)", async () => {
  const asked = peers.filter((word) => word !== "--json");
  const [one] = await said([FIRST], "--positions", "12", "--max-tokens", "3");
  const { code, lines } = await onScreen(["chat", ...asked, "--positions", "12", "--max-tokens", "3"], 100, [
    [/> /, `${FIRST}\r`],
    [/\n.*> /s, CTRL_D],
  ]);
  const screen = lines.join("\n");
  expect(code, screen).toBe(0);
  expect(screen).toContain(FIRST);
  expect(screen).toContain(one.reply.trim());
});

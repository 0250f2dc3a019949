/** Programs that are killed while a text is being continued: the server's place is free for the next one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { MAIN, piped, type Started, start } from "./started.ts";

const PROMPT = "Once upon a time, there was a little girl";
const OWN = ["--listen", "127.0.0.1:0"];

let serve: Started;
let services: Started[] = [];
let peers: string[];
beforeAll(async () => {
  const deal = await start(["deal", ...OWN]);
  // One place, so that nobody is served while it is taken.
  const place = ["--max-running", "1", "--log", "json"];
  serve = await start(["serve", "storyteller", "--dealer", deal.address, ...place, ...OWN]);
  services = [serve, deal];
  peers = ["--server", serve.address, "--dealer", deal.address];
});
afterAll(async () => {
  for (const one of services) await one.ended("SIGKILL");
});

/** Runs of continuation whose end the server has told. */
async function over(count: number): Promise<void> {
  await serve.logged(new RegExp(`("event":"(answered|failed)".*\\n.*){${count}}`, "s"));
}

/** Kills a program as soon as it has printed something. */
async function killed(program: ChildProcess): Promise<void> {
  const exit = once(program, "exit");
  await Promise.race([once(program.stdout!, "data"), exit]);
  program.kill("SIGKILL");
  expect((await exit)[1]).toBe("SIGKILL");
}

it("a client that speaks to the server itself", async () => {
  const args = [MAIN, "generate", PROMPT, "--max-tokens", "100", ...peers];
  await killed(spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] }));
  await over(1);
  expect(serve.log()).toMatch(/"event":"failed","kind":"channel"/);
  const next = await piped(["generate", PROMPT, "--max-tokens", "3", "--json", ...peers]);
  expect(JSON.parse(next.out)).toMatchObject({ tokens: 3 });
  await over(2);
});

it("a program with OpenAI's client, behind a gateway", async () => {
  const gateway = await start(["gateway", ...peers, ...OWN]);
  services = [gateway, ...services];
  const options = { baseURL: `http://${gateway.address}/v1`, apiKey: "any", maxRetries: 0 };
  const ask = { model: "mpcformer", prompt: PROMPT, max_tokens: 60, temperature: 0 };
  const program = `import OpenAI from "openai";
    const ask = ${JSON.stringify({ ...ask, stream: true })};
    const stream = await new OpenAI(${JSON.stringify(options)}).completions.create(ask);
    for await (const { choices } of stream) if (choices[0].text) console.log("piece");`;
  const args = ["--input-type=module", "-e", program];
  await killed(spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] }));
  await over(3);
  // It went on for no more than what was at work, and its connection serves the next one.
  const { choices, usage } = await new OpenAI(options).completions.create({ ...ask, max_tokens: 3 });
  expect(choices[0].text).not.toBe("");
  expect(usage?.completion_tokens).toBe(3);
});

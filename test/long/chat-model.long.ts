/**
 * A real chat model behind a gateway, streamed by OpenAI's own client: token for token what the same weights say in the clear; and a program
 * that is killed midway frees the server. `MODEL=smollm2.gguf npm run long -- chat-model`: calibrated before, for instance on conversations.
 * `ORACLE=FILE` names what transformers says of the same file (`scripts/chat-oracle.py`); without it our own floats are compared.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { expect, it } from "vitest";
import { openModel } from "../../src/cli/source.ts";
import { conversationText } from "../../src/models/chat-template.ts";
import { greedyTokens } from "../../src/models/greedy.ts";
import { start } from "../cli/started.ts";

const MODEL = process.env.MODEL ?? "";
/** A question, the prompt's tokens, and those of the reply. */
const ORACLE =
  process.env.ORACLE === undefined ? null : (JSON.parse(readFileSync(process.env.ORACLE, "utf8")) as Oracle);
const MESSAGES = [{ role: "user" as const, content: ORACLE?.question ?? "What is the capital of France?" }];
const PATIENT = ["--deadline", "3600", "--listen", "127.0.0.1:0"];
const TOKENS = Number(process.env.TOKENS ?? 8);

interface Oracle {
  readonly question: string;
  readonly prompt: readonly number[];
  readonly reply: readonly number[];
}

it.skipIf(MODEL === "")("streams what it says in the clear, and whoever is killed frees the server", async () => {
  const { spec, weights, tokenizer } = await openModel(MODEL, { overrides: {} });
  const text = tokenizer.encode(conversationText(tokenizer, MESSAGES), undefined, { bare: true });
  if (ORACLE !== null) expect(text.ids).toEqual(ORACLE.prompt);
  const all = ORACLE?.reply.slice(0, TOKENS) ?? greedyTokens(spec, weights, text, TOKENS);
  const end = all.findIndex((id) => tokenizer.endIds.includes(id));
  const clear = tokenizer.decode(end < 0 ? all : all.slice(0, end));
  const deal = await start(["deal", ...PATIENT]);
  const serve = await start(["serve", MODEL, "--dealer", deal.address, "--health", "127.0.0.1:0", ...PATIENT]);
  const gateway = await start(["gateway", "--server", serve.address, "--dealer", deal.address, ...PATIENT]);
  try {
    const options = { baseURL: `http://${gateway.address}/v1`, apiKey: "any", maxRetries: 0, timeout: 3_600_000 };
    const ask = { model: "mpcformer", messages: MESSAGES, max_tokens: TOKENS, temperature: 0, stream: true } as const;
    let told = "";
    const begun = performance.now();
    for await (const { choices } of await new OpenAI(options).chat.completions.create(ask)) {
      told += choices[0]?.delta.content ?? "";
      console.warn(`${((performance.now() - begun) / 1000).toFixed(1)} s: ${JSON.stringify(told)}`);
    }
    expect(told).toBe(clear);
    const program = `import OpenAI from "openai";
      const stream = await new OpenAI(${JSON.stringify(options)}).chat.completions.create(${JSON.stringify(ask)});
      for await (const { choices } of stream) if (choices[0].delta.content) console.log("piece");`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    const killed = performance.now();
    const metrics = async () => (await fetch(`http://${serve.health}/metrics`)).text();
    const free = async () =>
      /mpcformer_running 0\n/.test(await metrics()) && /mpcformer_material_bytes 0\n/.test(await metrics());
    await expect.poll(free, { interval: 20, timeout: 60_000 }).toBe(true);
    console.warn(`the server was free ${Math.round(performance.now() - killed)} ms after its client was killed`);
  } finally {
    for (const one of [gateway, serve, deal]) await one.ended("SIGKILL");
  }
});

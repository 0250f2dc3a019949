/** LangChain's unmodified client at a gateway. It brings 75 MB, and is installed for this check alone. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { start } from "../cli/started.ts";
import { layFiles } from "../docs/files.ts";

const run = promisify(execFile);
const PROGRAM = `
import { ChatOpenAI } from "@langchain/openai";
const configuration = { baseURL: process.argv[2] + "/v1" };
const chat = new ChatOpenAI({ model: "mpcformer", apiKey: "any", configuration, maxTokens: 3, temperature: 0, maxRetries: 0 });
const asked = [["user", "Once upon a time"]];
const whole = await chat.invoke(asked);
let streamed = "";
for await (const chunk of await chat.stream(asked)) streamed += chunk.content;
console.log(JSON.stringify({ whole: whole.content, streamed, tokens: whole.usage_metadata.output_tokens }));
`;

it("chats, as a whole and streamed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "langchain-"));
  await layFiles(folder);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }\n');
  await writeFile(join(folder, "ask.js"), PROGRAM);
  const packages = ["@langchain/openai", "@langchain/core"];
  await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...packages], { cwd: folder });
  const texts = join(folder, "stories.txt");
  await run(process.execPath, ["dist/cli/main.js", "calibrate", join(folder, "CHAT_DIR"), "--data", texts]);
  const up = await start(["up", join(folder, "CHAT_DIR"), "--listen", "127.0.0.1:0"]);
  try {
    const { stdout } = await run(process.execPath, ["ask.js", `http://${up.address}`], { cwd: folder });
    const { whole, streamed, tokens } = JSON.parse(stdout) as { whole: string; streamed: string; tokens: number };
    expect(whole).not.toBe("");
    expect([streamed, tokens]).toEqual([whole, 3]);
  } finally {
    await up.ended("SIGTERM");
    await rm(folder, { recursive: true, force: true });
  }
});

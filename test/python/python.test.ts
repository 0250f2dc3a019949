/** Programs in Python: OpenAI's own client, and the thin client of python/. Skipped where there is no Python that has openai and httpx. */
import { execFile, spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gatewayTo } from "../gateway/world.ts";
import { TINY, TINY_GPT2 } from "../parties/harness.ts";
import { DECODER_WORDS, ENCODER_WORDS } from "../parties/words.ts";
import { World } from "../parties/world.ts";

const PYTHON = process.env.PYTHON ?? "python3";
const missing = spawnSync(PYTHON, ["-c", "import openai, httpx"]).status !== 0;
if (missing)
  console.warn(`Python's clients are not tested: ${PYTHON} has no openai and httpx (name another in PYTHON)`);

let here: World;
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  here = await World.create(60_000);
});
afterAll(async () => {
  for (const one of opened) await one.close();
  await here.close();
});

async function urlOf(world: Parameters<typeof gatewayTo>[1]): Promise<string> {
  const g = await gatewayTo(here, world);
  opened.push(g);
  return `http://127.0.0.1:${g.port}`;
}

/** What a program prints, as JSON. */
async function printed<T>(program: string, url: string): Promise<T> {
  const env = { ...process.env, URL: url, PYTHONPATH: resolve("python/src"), PYTHONDONTWRITEBYTECODE: "1" };
  const code = `import json, os\nurl = os.environ["URL"]\n${program}`;
  const { stdout } = await promisify(execFile)(PYTHON, ["-c", code], { env });
  return JSON.parse(stdout) as T;
}

describe.skipIf(missing)("in Python", () => {
  it("OpenAI's client streams a completion, and the thin client generates the same", async () => {
    const url = await urlOf({ spec: { ...TINY_GPT2, embedding: "public" }, tokenizer: DECODER_WORDS });
    const told = await printed<{ streamed: string; tokens: number; refused: [number, string]; thin: string[] }>(
      `from openai import OpenAI, APIStatusError
from mpcformer_client import pipeline, GatewayError
client = OpenAI(base_url=url + "/v1", api_key="any", max_retries=0)
ask = dict(model="tiny", prompt="w7 w8 w9", max_tokens=3, temperature=0)
chunks = list(client.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
try:
    client.completions.create(**{**ask, "max_tokens": 900})
except APIStatusError as error:
    refused = [error.status_code, error.body["param"]]
generate = pipeline("text-generation", url=url)
thin = [one["generated_text"] for one in generate("w7 w8 w9", max_new_tokens=3, return_full_text=False)]
try:
    pipeline("text-classification", url=url)("w7")
except GatewayError as error:
    assert error.code == "wrong_model", error.code
print(json.dumps(dict(streamed="".join(c.choices[0].text for c in chunks if c.choices), tokens=chunks[-1].usage.completion_tokens, refused=refused, thin=thin)))`,
      url,
    );
    expect(told).toMatchObject({ tokens: 3, refused: [400, "max_tokens"] });
    expect(told.thin).toEqual([told.streamed]);
  });

  it("the thin client classifies as transformers' pipelines do", async () => {
    const url = await urlOf({ tokenizer: ENCODER_WORDS });
    type Label = { label: string; score: number };
    const [one, two, all] = await printed<[Label[], Label[], Label[]]>(
      `from mpcformer_client import pipeline
classify = pipeline("text-classification", url=url)
print(json.dumps([classify("w7 w8"), classify(["w7 w8", "w9"]), classify("w7 w8", top_k=None)]))`,
      url,
    );
    expect(one).toHaveLength(1);
    expect(two.map(({ label }) => TINY.labelNames.includes(label))).toEqual([true, true]);
    expect(all.map(({ label }) => label).sort()).toEqual([...TINY.labelNames].sort());
  });
});

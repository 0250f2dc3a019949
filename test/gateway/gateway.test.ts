/** The gateway as programs see it: through OpenAI's own client, and through plain requests that are wrong. */
import OpenAI, { APIError } from "openai";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import type { GatewayOptions } from "../../src/gateway/gateway.ts";
import type { Client } from "../../src/parties/client.ts";
import type { Plan } from "../../src/program/plan.ts";
import { TINY_GPT2, withLast } from "../parties/harness.ts";
import { DECODER_WORDS } from "../parties/words.ts";
import { World, type WorldOptions } from "../parties/world.ts";
import { gatewayTo as gatewayIn, MODEL, type PlainOptions, plain as plainly } from "./world.ts";

const PROMPT = "w7 w8 w9";
const KEY = "a key of some letters";
const DECODER = { ...TINY_GPT2, embedding: "public" } as const;

let here: World;
const opened: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  here = await World.create(60_000);
});
afterAll(async () => {
  for (const one of opened) await one.close();
  await here.close();
});

/** Services and a gateway to them, and a program's client of it. */
async function gatewayTo(world: WorldOptions = {}, options: Partial<GatewayOptions> = {}) {
  const g = await gatewayIn(here, { spec: DECODER, tokenizer: DECODER_WORDS, ...world }, options);
  opened.push(g);
  const openai = new OpenAI({ baseURL: `http://127.0.0.1:${g.port}/v1`, apiKey: KEY, maxRetries: 2 });
  return { ...g, openai };
}

async function expected(client: Client, maxTokens: number): Promise<string> {
  const stream = client.generate(PROMPT, { maxTokens });
  for (;;) {
    const step = await stream.next();
    if (step.done === true) return step.value.text;
  }
}

const plain = (port: number, options: PlainOptions) =>
  plainly<{ error: { message: string; code: string; param: string } }>(port, options);

describe("OpenAI's client", () => {
  let g: Awaited<ReturnType<typeof gatewayTo>>;
  let text: string;
  beforeAll(async () => {
    g = await gatewayTo();
    const client = await g.connect();
    text = await expected(client, 4);
    await client.close();
  });
  const ask = { model: MODEL, prompt: PROMPT, max_tokens: 4, temperature: 0 };

  it("finds the model", async () => {
    const { data } = await g.openai.models.list();
    expect(data).toMatchObject([{ id: MODEL, object: "model" }]);
    expect(await g.openai.models.retrieve(MODEL)).toMatchObject({ id: MODEL });
  });

  it("gets a completion, and what it took", async () => {
    const { choices, usage, object, model } = await g.openai.completions.create(ask);
    expect([object, model]).toEqual(["text_completion", MODEL]);
    expect(choices).toEqual([{ index: 0, text, logprobs: null, finish_reason: "length" }]);
    expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
    expect(usage).toMatchObject({ mpc: { padded_length: 8, flights: expect.any(Number) } });
  });

  it("gets it as it comes, with usage where it asks for that", async () => {
    const stream = await g.openai.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices: [choice] }) => choice?.text ?? "").join("")).toBe(text);
    expect(chunks.map(({ choices: [choice] }) => choice?.finish_reason ?? null).filter((why) => why !== null)).toEqual([
      "length",
    ]);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it("stops before a text", async () => {
    const word = text.trim().split(" ")[2];
    const { choices } = await g.openai.completions.create({ ...ask, stop: [word] });
    expect(choices[0]).toMatchObject({ text: text.slice(0, text.indexOf(word)), finish_reason: "stop" });
  });

  it("asks several times at once, and draws again with a seed", async () => {
    const sampled = { ...ask, temperature: 1.5, top_p: 0.9, seed: 4 };
    const answers = await Promise.all([sampled, sampled, ask].map((one) => g.openai.completions.create(one)));
    const texts = answers.map(({ choices }) => choices[0].text);
    expect(texts[0]).toBe(texts[1]);
    expect(texts[2]).toBe(text);
    expect(g.connections()).toBe(1);
  });

  it("gets several continuations of one text, with what all of them took", async () => {
    const sampled = { ...ask, max_tokens: 2, temperature: 1.5, seed: 4 };
    const { choices, usage } = await g.openai.completions.create({ ...sampled, n: 2 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
    // The second draws with the next seed.
    expect((await g.openai.completions.create({ ...sampled, seed: 5 })).choices[0].text).toBe(choices[1].text);
    const told: string[] = ["", ""];
    const stream = await g.openai.completions.create({ ...sampled, n: 2, stream: true });
    for await (const { choices } of stream) for (const { index, text } of choices) told[index] += text;
    expect(told).toEqual(choices.map(({ text }) => text));
  });

  it("gets the tokens' probabilities", async () => {
    const client = await g.connect();
    const row = async (words: string) => {
      const { logits } = await client.score(client.encode(words));
      return logits.slice(-client.spec.vocabulary);
    };
    const { choices } = await g.openai.completions.create({ ...ask, max_tokens: 2, logprobs: 2 });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs!;
    expect(tokens!.join("")).toBe(choices[0].text);
    expect(text_offset).toEqual([PROMPT.length, PROMPT.length + tokens![0].length]);
    for (const [i, before] of [PROMPT, PROMPT + tokens![0]].entries()) {
      const logits = await row(before);
      const sum = Math.log(logits.reduce((all, x) => all + Math.exp(x), 0));
      const sorted = logits.map((x) => x - sum).sort((a, b) => b - a);
      expect(Math.abs(token_logprobs![i] - sorted[0])).toBeLessThan(0.02);
      const [best, second] = Object.entries(top_logprobs![i]);
      expect(best).toEqual([tokens![i], token_logprobs![i]]);
      expect(Math.abs(second[1] - sorted[1])).toBeLessThan(0.02);
    }
    await client.close();
    const streamed = [];
    const stream = await g.openai.completions.create({ ...ask, max_tokens: 2, logprobs: 0, stream: true });
    for await (const { choices } of stream) streamed.push(...(choices[0].logprobs?.token_logprobs ?? []));
    expect(streamed).toHaveLength(2);
  });

  it.each([
    [{ n: 9 }, "n", "invalid_value"],
    [{ logprobs: 6 }, "logprobs", "invalid_value"],
    [{ logprobs: true }, "logprobs", "invalid_value"],
    [{ best_of: 2 }, "best_of", "unsupported_value"],
    [{ echo: true }, "echo", "unsupported_value"],
    [{ suffix: "end" }, "suffix", "unsupported_value"],
    [{ presence_penalty: 0.5 }, "presence_penalty", "unsupported_value"],
    [{ logit_bias: { 5: 1 } }, "logit_bias", "unknown_parameter"],
    [{ made_up: 1 }, "made_up", "unknown_parameter"],
    [{ temperature: 3 }, "temperature", "invalid_value"],
    [{ max_tokens: 0 }, "max_tokens", "invalid_value"],
    [{ max_tokens: 9 }, "max_tokens", "invalid_value"],
    [{ prompt: [1, 2] }, "prompt", "invalid_value"],
    [{ prompt: ["a", "b"] }, "prompt", "invalid_value"],
    [{ stop: ["a", "b", "c", "d", "e"] }, "stop", "invalid_value"],
    [{ prompt: Array.from({ length: 60 }, () => "w7").join(" "), max_tokens: 8 }, "prompt", "context_length_exceeded"],
    [{ prompt: Array.from({ length: 70 }, () => "w7").join(" ") }, "prompt", "context_length_exceeded"],
  ])("is refused %j by name", async (more, param, code) => {
    const error = await g.openai.completions.create({ ...ask, ...more } as never).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(APIError);
    expect(error).toMatchObject({ status: 400, param, code, type: "invalid_request_error" });
    expect((error as APIError).message).not.toContain("w7");
  });

  it("may say what every answer is anyway", async () => {
    const said = { n: 1, echo: false, logprobs: null, presence_penalty: 0, user: "somebody", suffix: null };
    expect((await g.openai.completions.create({ ...ask, ...said })).choices[0].text).toBe(text);
  });

  it("is answered in turn: who asks much waits for who asks little, and too much is refused", async () => {
    const asked = (apiKey: string) => {
      const own = new OpenAI({ baseURL: `http://127.0.0.1:${g.port}/v1`, apiKey, maxRetries: 0 });
      return own.completions.create({ ...ask, max_tokens: 1 });
    };
    const order: string[] = [];
    const refused: unknown[] = [];
    const greedy = Array.from({ length: 20 }, () =>
      asked("greedy").then(
        () => order.push("greedy"),
        (error: unknown) => refused.push(error),
      ),
    );
    await asked("modest").then(() => order.push("modest"));
    await Promise.all(greedy);
    // One runs and 16 of one key may wait.
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect(order.indexOf("modest")).toBeLessThan(order.length / 2);
  });

  it("is told of a model that is not here", async () => {
    const error = await g.openai.completions.create({ ...ask, model: "gpt-4" }).catch((e: unknown) => e);
    expect(error).toMatchObject({ status: 404, code: "model_not_found" });
  });

  it("that goes away stops its run, and the next one is answered", async () => {
    const leave = new AbortController();
    const stream = await g.openai.completions.create({ ...ask, max_tokens: 8, stream: true }, { signal: leave.signal });
    const listening = async () => {
      for await (const _ of stream) leave.abort();
    };
    await listening().catch(() => {});
    await vi.waitFor(() => expect(g.server.admission.running).toBe(0));
    await vi.waitFor(() => expect(g.server.materialBytes).toBe(0));
    expect((await g.openai.completions.create(ask)).choices[0].text).toBe(text);
    expect(g.connections()).toBe(2);
  });

  it("is answered after the server let an idle connection go", async () => {
    const channels: Channel[] = [];
    const done = here.watching((channel) => channels.push(channel));
    const w = await gatewayTo();
    await w.openai.completions.create(ask);
    done();
    for (const channel of channels) channel.close();
    expect((await w.openai.completions.create(ask)).choices[0].text).toBe(text);
    expect(w.connections()).toBe(2);
  });
});

describe("a conversation", () => {
  const TEMPLATE =
    "{{ bos_token }}{% for m in messages %} {{ m['content'] }}{% endfor %}{% if add_generation_prompt %} w9{% endif %}";
  const withTemplate = (chat_template: unknown) => ({
    ...DECODER_WORDS,
    "tokenizer_config.json": JSON.stringify({
      tokenizer_class: "PreTrainedTokenizerFast",
      bos_token: "w7",
      chat_template,
    }),
  });
  const messages = [{ role: "user", content: "w8" }] as const;
  const ask = { model: MODEL, messages: [...messages], max_tokens: 4, temperature: 0 };

  it("is written by the model's own template, and answered as a text is", async () => {
    const g = await gatewayTo({ tokenizer: withTemplate(TEMPLATE) });
    const client = await g.connect();
    const text = await expected(client, 4);
    await client.close();
    const { choices, usage, object } = await g.openai.chat.completions.create(ask);
    expect(object).toBe("chat.completion");
    expect(choices[0]).toMatchObject({ message: { role: "assistant", content: text }, finish_reason: "length" });
    expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 4 });
    const parts = [{ type: "text", text: "w8" }] as const;
    const stream = await g.openai.chat.completions.create({
      ...ask,
      messages: [{ role: "user", content: [...parts] }],
      stream: true,
      max_tokens: null,
      max_completion_tokens: 4,
    });
    const chunks = [];
    for await (const {
      choices: [choice],
    } of stream)
      chunks.push(choice);
    expect(chunks[0].delta).toMatchObject({ role: "assistant" });
    expect(chunks.map(({ delta }) => delta.content ?? "").join("")).toBe(text);
    expect(chunks.at(-1)?.finish_reason).toBe("length");
  });

  it("is refused where there is no template, one that refuses it, or fields that nothing here honours", async () => {
    const bare = await gatewayTo();
    const errorOf = (g: Awaited<ReturnType<typeof gatewayTo>>, more: object = {}) =>
      g.openai.chat.completions.create({ ...ask, ...more } as never).catch((e: unknown) => e);
    expect(await errorOf(bare)).toMatchObject({ status: 400, code: "no_chat_template" });
    const strict = await gatewayTo({ tokenizer: withTemplate("{{ raise_exception('w8 is secret') }}") });
    const error = await errorOf(strict);
    expect(error).toMatchObject({ status: 400, param: "messages" });
    expect((error as APIError).message).not.toContain("secret");
    expect(await errorOf(bare, { tools: [] })).toMatchObject({
      status: 400,
      param: "tools",
      code: "unknown_parameter",
    });
    expect(await errorOf(bare, { messages: [{ role: "tool", content: "x" }] })).toMatchObject({
      param: "messages.0.role",
    });
    expect(await errorOf(bare, { messages: [] })).toMatchObject({ status: 400, param: "messages" });
    expect(await errorOf(bare, { top_logprobs: 2 })).toMatchObject({ status: 400, param: "top_logprobs" });
  });
});

describe("a gap in a text", () => {
  const ask = { model: MODEL, prompt: "w7 w8", suffix: "w9", max_tokens: 3, temperature: 0 };
  const special = (content: string, id: number) => ({
    ...{ id, content, special: true, normalized: false },
    ...{ single_word: false, lstrip: false, rstrip: false },
  });
  const tokenizer = JSON.parse(DECODER_WORDS["tokenizer.json"]!);
  const gaps = {
    ...tokenizer,
    added_tokens: ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"].map((token, i) => special(token, 57 + i)),
    model: { ...tokenizer.model, vocab: without(tokenizer.model.vocab, 57) },
  };

  it("is filled as editors ask for it: the model's own tokens stand around prompt and suffix", async () => {
    const g = await gatewayTo({ tokenizer: { ...DECODER_WORDS, "tokenizer.json": JSON.stringify(gaps) } });
    const { choices, usage } = await g.openai.completions.create(ask);
    const client = await g.connect();
    const ids = [57, 7, 8, 58, 9, 59];
    const stream = client.generate({ ids, types: ids.map(() => 0) }, { maxTokens: 3 });
    let step = await stream.next();
    while (step.done !== true) step = await stream.next();
    await client.close();
    expect(choices[0].text).toBe(step.value.text);
    expect(usage?.prompt_tokens).toBe(6);
  });

  it("is refused by name where the model has no such tokens", async () => {
    const g = await gatewayTo();
    const error = await g.openai.completions.create(ask).catch((e: unknown) => e);
    expect(error).toMatchObject({ status: 400, param: "suffix", code: "unsupported_value" });
  });
});

/** The words before the last ones. */
function without(vocabulary: Record<string, number>, from: number): Record<string, number> {
  return Object.fromEntries(Object.entries(vocabulary).filter(([, id]) => id < from));
}

describe("a request that is no program's own", () => {
  const body = JSON.stringify({ model: MODEL, prompt: PROMPT, max_tokens: 1 });
  const json = { "content-type": "application/json" };

  it("of another origin, by another name, or without a key is refused", async () => {
    const g = await gatewayTo({}, { keys: [KEY], hosts: ["gateway.example"] });
    const shown = { ...json, authorization: `Bearer ${KEY}` };
    const asked = async (headers: Record<string, string>) => (await plain(g.port, { headers, body })).status;
    expect(await asked({ ...shown, host: "evil.example" })).toBe(403);
    expect(await asked({ ...shown, origin: "https://evil.example" })).toBe(403);
    expect(await asked({ ...shown, origin: "null" })).toBe(403);
    expect(await asked(json)).toBe(401);
    expect(await asked({ ...json, authorization: "Bearer another" })).toBe(401);
    expect(await asked({ ...shown, "content-type": "text/plain" })).toBe(415);
    expect(await asked({ ...shown, host: "gateway.example:80" })).toBe(200);
    expect(await asked({ ...shown, host: `localhost:${g.port}`, origin: `http://localhost:${g.port}` })).toBe(200);
  });

  it("is answered in the API's shape when it is none", async () => {
    const g = await gatewayTo();
    const asked = (options: Parameters<typeof plain>[1]) => plain(g.port, options);
    expect(await asked({ body: "{" })).toMatchObject({
      status: 400,
      body: { error: { type: "invalid_request_error" } },
    });
    expect(await asked({ body: "[]" })).toMatchObject({ status: 400 });
    expect(await asked({ body: "{}" })).toMatchObject({
      status: 400,
      body: { error: { code: "missing_required_parameter" } },
    });
    expect(await asked({ body, path: "/v1/audio" })).toMatchObject({ status: 404 });
    expect(await asked({ method: "GET", path: "//", body: "" })).toMatchObject({ status: 404 });
    expect(await asked({ body: `"${"a".repeat(5e6)}"` })).toMatchObject({ status: 413 });
  });
});

describe("privacy", () => {
  it("is told: parties, model, and what each learns", async () => {
    const g = await gatewayTo({}, { length: 16, fixed: true });
    const { status, body } = await plain(g.port, { method: "GET", path: "/privacy" });
    expect(status).toBe(200);
    const client = await g.connect();
    expect(body).toMatchObject({
      model: { id: client.model.id, architecture: "gpt2" },
      parties: { dealer: { key: "ab" } },
      learns: { server: expect.stringContaining("the padded length 16") },
    });
    await client.close();
    const { usage } = await g.openai.completions.create({
      model: MODEL,
      prompt: PROMPT,
      max_tokens: 2,
      temperature: 0,
    });
    expect(usage).toMatchObject({ completion_tokens: 2, mpc: { padded_length: 16 } });
  });

  it("holds for void answers: nobody asks again by himself", async () => {
    const narrow = (plan: Plan) => withLast(plan, [-0.01, 0.01]);
    let answered = 0;
    const log = ({ event }: { readonly event: string }) => {
      if (event === "answered") answered++;
    };
    const g = await gatewayTo({ change: narrow, serving: { log } });
    const ask = { model: MODEL, prompt: PROMPT, max_tokens: 2, temperature: 0 };
    const error = await g.openai.completions.create(ask).catch((e: unknown) => e);
    expect(error).toMatchObject({ status: 422, code: "void_answer" });
    const streamed = async () => {
      for await (const _ of await g.openai.completions.create({ ...ask, stream: true }));
    };
    await expect(streamed()).rejects.toThrow(/outside the plan's range/);
    expect(answered).toBe(2);
    expect(g.connections()).toBe(1);
  });

  it("of a server of tokens alone: what needs logits is refused", async () => {
    const g = await gatewayTo({ spec: { ...DECODER, answer: "label" } });
    const ask = { model: MODEL, prompt: PROMPT, max_tokens: 2, temperature: 0 };
    expect((await g.openai.completions.create(ask)).choices[0].text).not.toBe("");
    for (const more of [{ seed: 1 }, { logprobs: 0 }]) {
      const error = await g.openai.completions.create({ ...ask, ...more }).catch((e: unknown) => e);
      expect(error).toMatchObject({ status: 400, code: "unsupported_value" });
    }
  });
});

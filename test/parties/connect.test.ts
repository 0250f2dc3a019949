/** What callers of the library give wrongly is told in one line that names it, before anything is done. */
import { describe, expect, it } from "vitest";
import { connect as connectWeb } from "../../src/browser.ts";
import { connect } from "../../src/index.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { harness, TINY_GPT2 } from "./harness.ts";
import { tapped } from "./tapped.ts";
import { DECODER_WORDS } from "./words.ts";

const KEY = "ab".repeat(32);
const TCP = { server: { url: "tcp://127.0.0.1:9" }, dealer: { url: "tcp://127.0.0.1:9" } };

describe("connect", () => {
  it.each([
    [undefined, "connect: its options must be an object of options"],
    ["tcp://127.0.0.1:7700", "connect: its options must be an object of options"],
    [{ dealer: TCP.dealer }, "connect: server is missing"],
    [{ server: TCP.server }, "connect: dealer is missing"],
    [{ ...TCP, server: "tcp://127.0.0.1:7700" }, "connect: server must be an object of options"],
    [{ ...TCP, server: {} }, "connect: server.url is missing"],
    [
      { ...TCP, server: { url: "127.0.0.1:7700" } },
      /^connect: server\.url must be an address with a port .* such as tcp:/,
    ],
    [{ ...TCP, server: { url: 7700 } }, /^connect: server\.url must be an address/],
    [{ ...TCP, server: { url: "tcp://127.0.0.1" } }, /^connect: server\.url must be an address with a port/],
    [{ ...TCP, dealer: { url: "http://127.0.0.1:7701" } }, /^connect: dealer\.url must be an address/],
    [
      { ...TCP, server: { ...TCP.server, key: "SHA256:abc" } },
      /^connect: server\.key must be a key's fingerprint, .*: 64 hex/,
    ],
    [{ ...TCP, server: { ...TCP.server, model: "demo" } }, /^connect: server\.model must be a model's id, .*: 64 hex/],
    [{ ...TCP, server: { ...TCP.server, key: KEY } }, /^connect: one party's key is named and the other's is not/],
    [
      { ...TCP, server: { url: "ws://127.0.0.1:7700" } },
      "connect: server must be named with its key: over WebSocket give { url, key }",
    ],
    [{ ...TCP, serverKey: KEY }, "connect: there is no option serverKey"],
    [{ ...TCP, dealer: { ...TCP.dealer, fingerprint: KEY } }, "connect: there is no option dealer.fingerprint"],
    [{ ...TCP, deadlineMs: "60" }, "connect: deadlineMs must be a number of milliseconds"],
    [{ ...TCP, deadlineMs: 0 }, "connect: deadlineMs must be a number of milliseconds"],
    [{ ...TCP, progress: true }, "connect: progress must be a function"],
    [{ ...TCP, own: "key" }, "connect: own must be this client's key"],
  ])("%j: %s", async (options, message) => {
    const error = await connect(options as never).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TypeError);
    expect(String((error as Error).message)).toMatch(message);
  });

  it("of browsers takes no tcp: address, and names the key that is missing", async () => {
    await expect(connectWeb(TCP)).rejects.toThrow(/^connect: server\.url must be an address .*\(wss:, ws:\)/);
    const ws = { url: "ws://127.0.0.1:9" };
    await expect(connectWeb({ server: ws, dealer: ws })).rejects.toThrow("connect: server must be named with its key");
  });

  it("with right options tries to connect", async () => {
    await expect(connect(TCP)).rejects.toThrow(/^no server listens at 127.0.0.1:9/);
    const pinned = { server: { ...TCP.server, key: KEY, model: KEY }, dealer: { ...TCP.dealer, key: KEY } };
    await expect(connect(pinned)).rejects.toThrow(/^no server listens at 127.0.0.1:9/);
  });
});

describe("a client's calls", () => {
  it("say which option is wrong, and stay connected", async () => {
    const h = await harness({ ...TINY_GPT2, embedding: "public" }, { ...oneTurn(16), turns: 2 });
    const client = await (await tapped(h, { tokenizer: DECODER_WORDS })).connect();
    const wrong: readonly [unknown, RegExp][] = [
      [undefined, /^generate: its options must be an object/],
      [{}, /say how many \(maxTokens\)/],
      [{ max_tokens: 4 }, /^generate: there is no option max_tokens/],
      [{ maxTokens: "4" }, /^generate: maxTokens must be a number/],
      [{ maxTokens: 0 }, /^a run gives 1 to 1024 new tokens/],
      [{ maxTokens: 4, turns: 2 }, /^2 turns give no 4 tokens/],
      [{ maxTokens: 4, stop: 7 }, /^generate: stop must be a text, an array of texts, or a function/],
      [{ maxTokens: 4, signal: true }, /^generate: signal must be an AbortSignal/],
      [{ maxTokens: 4, length: 2 }, /^a text has 3 tokens, more than the padded length 2/],
    ];
    for (const [options, message] of wrong)
      await expect(client.generate("w7 w8 w9", options as never).next()).rejects.toThrow(message);
    await expect(client.classify(undefined as never)).rejects.toThrow("a text is a string, not undefined");
    await expect(client.classify("w7", { pairs: "w8" } as never)).rejects.toThrow("classify: there is no option pairs");
    expect(client.closed).toBe(false);
    await client.close();
  });
});

/** The three services over TCP on loopback: whole sessions, prepared material, lost and mismatched peers. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { connectTcp, listenTcp, type TcpListener } from "../../src/channels/tcp.ts";
import { classifier } from "../../src/models/bert.ts";
import { calibrate, compile } from "../../src/models/calibrate.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { Client } from "../../src/parties/client.ts";
import { DealerService } from "../../src/parties/dealer.ts";
import { FileStore } from "../../src/parties/file-store.ts";
import { PROTOCOL_VERSION } from "../../src/parties/messages.ts";
import { ServerService } from "../../src/parties/server.ts";

import { hex } from "../../src/parties/weights.ts";
import { FloatOps } from "../../src/program/float.ts";
import type { Range } from "../../src/program/plan.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { harness, TINY } from "./harness.ts";

const DEADLINE = { deadlineMs: 3000 };
let dir: string;
const listeners: TcpListener[] = [];
/** What ended the services' sessions of the present test. */
let failures: string[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "services-"));
  failures = [];
});
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
  await rm(dir, { recursive: true, force: true });
});

async function listen(serve: (channel: Channel) => Promise<void>, peer: string): Promise<number> {
  const mine = failures;
  const listener = await listenTcp(
    "127.0.0.1",
    0,
    (channel) => {
      serve(channel).catch((error: Error) => mine.push(error.message));
    },
    { ...DEADLINE, peer },
  );
  listeners.push(listener);
  return listener.address.port;
}

const dial = (port: number, peer: string) => connectTcp("127.0.0.1", port, { ...DEADLINE, peer });

/** A dealer, a server with a random model, and a way to connect clients. */
async function world(
  overrides: Partial<ModelSpec> = {},
  modelId = hex(randomKey()),
  serving: { readonly mostWaitingBytes?: number } = {},
) {
  const spec = { ...TINY, ...overrides };
  const weights = randomWeights(spec, 5);
  const texts = Array.from({ length: 10 }, (_, i) => randomText(spec, 4 + i, i));
  const plan = calibrate(spec, weights, texts);
  const dealer = new DealerService(await Ring.create());
  const dealerPort = await listen((c) => dealer.serve(c), "peer");
  const ring = await Ring.create();
  const store = new FileStore(join(dir, "server"));
  const server = new ServerService(
    ring,
    { model: { id: modelId, spec, plan }, modelKey: randomKey(), weights: async () => weights, tokenizer: {} },
    { connectDealer: () => dial(dealerPort, "dealer"), store, ...serving },
  );
  const serverPort = await listen((c) => server.serve(c), "client");
  const clientRing = await Ring.create();
  const connect = async (withStore = false, onFlight: (flight: number) => void = () => {}) =>
    Client.connect(clientRing, await dial(serverPort, "server"), {
      connectDealer: () => dial(dealerPort, "dealer"),
      store: withStore ? new FileStore(join(dir, "client")) : undefined,
      progress: (phase, done) => phase === "online" && onFlight(done),
    });
  const float = (text: { ids: readonly number[]; types: readonly number[] }, length: number) => [
    ...classifier(new FloatOps(weights, text, length), spec).data,
  ];
  return { spec, plan, connect, float, ring, clientRing, serverPort, dealerPort };
}

describe("sessions", () => {
  it.each(["private", "public"] as const)(
    "answer several texts of several lengths, embedding %s, at the predicted cost",
    async (embedding) => {
      const w = await world({ embedding });
      const client = await w.connect();
      for (const tokens of [5, 8, 13, 13]) {
        const text = randomText(w.spec, tokens, tokens);
        const run = await client.infer(text);
        const expected = w.float(text, run.length);
        for (const [i, x] of expected.entries()) expect(Math.abs(run.logits[i] - x)).toBeLessThan(0.05);
        const cost = costOf(compile(w.spec, w.plan, oneTurn(run.length)));
        expect({ flights: run.flights, bytes: run.bytes.online }).toEqual(cost.online);
        expect(run.bytes.offline).toEqual(cost.offline.bytes);
      }
      await client.close();
      // All memory of the sessions is given back: what is left are the client's nothing and the server's weights.
      expect(w.clientRing.memory.bytesInUse).toBe(0);
      expect(failures).toEqual([]);
    },
  );

  it.each(["private", "public"] as const)(
    "answer texts side by side, embedding %s: flights are shared",
    async (embedding) => {
      const w = await world({ embedding });
      const client = await w.connect();
      const texts = [5, 16, 9].map((tokens) => randomText(w.spec, tokens, tokens));
      const run = await client.inferAll(texts);
      expect(run.length).toBe(16);
      texts.forEach((text, t) => {
        const expected = w.float(text, 16);
        for (const [i, x] of expected.entries()) expect(Math.abs(run.logits[t][i] - x)).toBeLessThan(0.05);
      });
      const cost = costOf(compile(w.spec, w.plan, oneTurn(16)));
      const { flights, bytes } = cost.online;
      expect(run.flights).toBe(flights);
      // Every frame three times as long, but for its header.
      for (const way of ["client_to_server", "server_to_client"] as const) {
        const headers = (3 * bytes[way] - run.bytes.online[way]) / 2;
        expect(headers % 16).toBe(0);
        expect(headers / 16).toBeGreaterThan(0);
        expect(headers / 16).toBeLessThanOrEqual(flights);
      }
      expect(run.bytes.offline.dealer_to_server).toBe(3 * cost.offline.bytes.dealer_to_server);
      await client.close();
      expect(w.clientRing.memory.bytesInUse).toBe(0);
      expect(failures).toEqual([]);
    },
  );

  it("of several clients at once do not mix", async () => {
    const w = await world();
    const clients = await Promise.all([w.connect(), w.connect(), w.connect()]);
    const text = (c: number, i: number) => randomText(w.spec, 4 + ((5 * c + 3 * i) % 12), 10 * c + i);
    await Promise.all(
      clients.map(async (client, c) => {
        for (let i = 0; i < 4; i++) {
          const run = await client.infer(text(c, i));
          const expected = w.float(text(c, i), run.length);
          for (const [j, x] of expected.entries()) expect(Math.abs(run.logits[j] - x)).toBeLessThan(0.05);
        }
        await client.close();
      }),
    );
    expect(failures).toEqual([]);
  });

  it("use prepared material once, then make more", async () => {
    const w = await world();
    const client = await w.connect(true);
    await client.prepare(oneTurn(8));
    await client.prepareUpTo(oneTurn(8), 2);
    await client.prepareUpTo(oneTurn(8), 1);
    expect(await client.prepared(oneTurn(8))).toBe(2);
    const text = randomText(w.spec, 7, 1);
    for (const dealt of [false, false, true]) {
      const run = await client.infer(text);
      expect(run.bytes.offline.dealer_to_server > 0).toBe(dealt);
      const expected = w.float(text, 8);
      for (const [i, x] of expected.entries()) expect(Math.abs(run.logits[i] - x)).toBeLessThan(0.05);
    }
    for (const side of ["client", "server"]) {
      for (const key of await readdir(join(dir, side))) expect(await readdir(join(dir, side, key))).toEqual([]);
    }
    await client.close();
  });
});

describe("generation", () => {
  const decoder = {
    architecture: "llama",
    keyHeads: 2,
    rotary: 10_000,
    normFirst: true,
    types: 1,
    labels: 60,
    labelNames: [],
    problem: "generation",
    gelu: "exact",
    softmax: "exact",
    embedding: "public",
  } satisfies Partial<ModelSpec>;

  async function tokensOf(stream: AsyncGenerator<number, unknown, void>, most = 100) {
    const tokens: number[] = [];
    for await (const token of stream) if (tokens.push(token) === most) break;
    return tokens;
  }

  it("hands out tokens as they come, and leaves the connection for the next request", async () => {
    const w = await world(decoder);
    const client = await w.connect();
    const text = randomText(w.spec, 6, 1);
    const all = await tokensOf(client.generate(text, { maxTokens: 5 }));
    expect(all).toHaveLength(5);
    // A listener that leaves, a token that ends the text, and a stop rule.
    expect(await tokensOf(client.generate(text, { maxTokens: 5 }), 2)).toEqual(all.slice(0, 2));
    const atEnd = await tokensOf(client.generate(text, { maxTokens: 5, stopAt: [all[2]] }));
    expect(atEnd).toEqual(all.slice(0, all.indexOf(all[2]) + 1));
    const stopped = client.generate(text, { maxTokens: 5, stop: (tokens) => tokens.length === 4 });
    expect(await tokensOf(stopped)).toEqual(all.slice(0, 4));
    const sampled = { maxTokens: 5, temperature: 1, topP: 0.9, seed: 3 };
    expect(await tokensOf(client.generate(text, sampled))).toHaveLength(5);
    expect(await tokensOf(client.generate(text, { ...sampled, topK: 1 }))).toEqual(all);
    await client.close();
    expect(w.clientRing.memory.bytesInUse).toBe(0);
    expect(failures).toEqual([]);
  });

  it("that loses its server ends with the tokens so far and an error, and nothing is used again", async () => {
    const w = await world(decoder);
    const client = await w.connect(true);
    const text = randomText(w.spec, 6, 1);
    const shape = client.generationShape(6, { maxTokens: 5 });
    await client.prepare(shape);
    const tokens: number[] = [];
    const run = async () => {
      for await (const token of client.generate(text, { maxTokens: 5 })) {
        tokens.push(token);
        if (tokens.length === 2) for (const listener of listeners.splice(0)) await listener.close();
      }
    };
    await expect(run()).rejects.toThrow(/closed the connection|is closed|gave up|broke off/);
    expect(tokens.length).toBeGreaterThanOrEqual(2);
    expect(await client.prepared(shape)).toBe(0);
  });
});

describe("failures", () => {
  it("a server that dies in the online phase ends the client at once, and the material is burnt", async () => {
    const w = await world();
    let closing: Promise<void> | null = null;
    const client = await w.connect(true, (flight) => {
      if (flight === 3) closing = listeners[1].close();
    });
    await client.prepare(oneTurn(8));
    const running = client.infer(randomText(w.spec, 7, 1));
    await expect(running).rejects.toThrow(/closed the connection/);
    expect(closing).not.toBeNull();
    await closing;
    expect(await client.prepared(oneTurn(8))).toBe(0);
    for (const key of await readdir(join(dir, "server"))) {
      expect((await readdir(join(dir, "server", key))).filter((f) => f.endsWith(".material"))).toEqual([]);
    }
    expect(w.clientRing.memory.bytesInUse).toBe(0);
  });

  it("material that the server does not know is refused, and burnt at the client", async () => {
    const id = hex(randomKey());
    const first = await world({}, id);
    const client = await first.connect(true);
    await client.prepare(oneTurn(8));
    await client.close();
    await rm(join(dir, "server"), { recursive: true });
    const again = await first.connect(true);
    await expect(again.infer(randomText(first.spec, 7, 1))).rejects.toThrow(
      /the server (refused|gave up): the server has no such material/,
    );
    const third = await first.connect(true);
    expect(await third.prepared(oneTurn(8))).toBe(0);
    await third.close();
  });

  it("no dealer: the client learns it in one line", async () => {
    const w = await world();
    const client = await w.connect();
    await listeners[0].close();
    await expect(client.infer(randomText(w.spec, 7, 1))).rejects.toThrow(
      /no dealer listens at|the server (refused|gave up): no dealer/,
    );
  });

  it("a client with another plan is refused before any material is used", async () => {
    const w = await world();
    const channel = await dial(w.serverPort, "server");
    const welcome = (await channel.receiveJson(0, 2 ** 22)) as { version: string };
    expect(welcome.version).toBe(PROTOCOL_VERSION);
    await channel.sendJson(0, { request: "session", shape: oneTurn(8), program: "0".repeat(64), prepare: false });
    expect(await channel.receiveJson(0)).toEqual({
      error: "client and server compile different programs: install the same release on both sides",
    });
  });

  it("a length beyond the model, and a message that is none, are refused", async () => {
    const w = await world();
    for (const [message, expected] of [
      [
        { request: "session", shape: oneTurn(4000), program: "0".repeat(64), prepare: false },
        /beyond the model's 64 positions/,
      ],
      [{ request: "dance" }, /cannot read/],
      [{ request: "run", texts: 1 }, /all material that waits, one for each text/],
      [{ request: "run", texts: 65 }, /cannot read/],
      [{ request: "session", length: "8" }, /cannot read/],
    ] as const) {
      const channel = await dial(w.serverPort, "server");
      await channel.receiveJson(0, 2 ** 22);
      await channel.sendJson(0, message);
      expect((await channel.receiveJson(0)) as { error: string }).toMatchObject({
        error: expect.stringMatching(expected),
      });
    }
  });

  it("more texts at once than the server holds material for are refused before any more is made", async () => {
    const bytes = 300_000;
    const w = await world({}, undefined, { mostWaitingBytes: bytes });
    const { offline } = costOf(compile(w.spec, w.plan, oneTurn(8)));
    const each = offline.bytes.dealer_to_server + offline.bytes.client_to_server;
    const fit = Math.floor(bytes / each);
    expect(fit).toBeGreaterThan(0);
    const texts = Array.from({ length: fit + 1 }, (_, i) => randomText(w.spec, 7, i));
    const client = await w.connect();
    expect((await client.inferAll(texts.slice(1))).logits.length).toBe(fit);
    await expect(client.inferAll(texts)).rejects.toThrow(/ask about fewer at once/);
    expect(w.clientRing.memory.bytesInUse).toBe(0);
  });

  it("a dealer that gets two different models of one session refuses both", async () => {
    const w = await world();
    const session = hex(randomKey());
    const common = { version: PROTOCOL_VERSION, session, program: "0".repeat(64), seed: "0".repeat(32) };
    const [a, b] = [await dial(w.dealerPort, "dealer"), await dial(w.dealerPort, "dealer")];
    await a.sendJson(0, { ...common, role: "client", model: "1".repeat(32) });
    await b.sendJson(0, {
      ...common,
      role: "server",
      shape: oneTurn(8),
      model: { id: "2".repeat(32), spec: w.spec, plan: w.plan },
    });
    for (const channel of [a, b]) {
      expect(await channel.receiveJson(0)).toEqual({ error: "client and server name different models" });
    }
    const c = await dial(w.dealerPort, "dealer");
    await c.sendJson(0, { ...common, role: "client", model: "2".repeat(32) });
    expect(await c.receiveJson(0)).toEqual({ error: "this session was dealt before: material is made once only" });
  });

  it("a text whose embedding leaves the plan's range is refused before anything is sent", async () => {
    const shrink = ([lo, hi]: Range): Range => [lo / 8, hi / 8];
    const h = await harness({ embedding: "public" }, 16, undefined, (plan) => ({
      ...plan,
      ranges: { ...plan.ranges, "0.out": shrink(plan.ranges["0.out"]) },
    }));
    await expect(h.secure(randomText(h.spec, 12, 1))).rejects.toThrow(/^the text lies outside the plan's range/);
  });

  it("the fixed-point run finds every other value that leaves its range", async () => {
    const h = await harness({ embedding: "public" }, 16, undefined, (plan) => ({
      ...plan,
      ranges: Object.fromEntries(
        Object.entries(plan.ranges).map(([k, [lo, hi]]) => [k, k === "1.out" ? [lo / 16, hi / 16] : [lo, hi]]),
      ),
    }));
    const { violations } = h.clear(randomText(h.spec, 12, 1));
    expect(violations[0]).toMatchObject({ name: "layer.0.query" });
  });
});

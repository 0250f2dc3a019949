/** The three services over TCP on loopback: whole sessions, prepared material, lost and mismatched peers. */

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TcpListener } from "../../src/channels/tcp.ts";
import { compile } from "../../src/compiler/compile.ts";
import { randomText } from "../../src/models/catalog.ts";
import { baseOf } from "../../src/models/families/all.ts";
import { lineOf, type ServiceEvent } from "../../src/parties/events.ts";
import type { GeneratedPiece } from "../../src/parties/generation.ts";
import { fingerprint, PROTOCOL_VERSION } from "../../src/parties/messages.ts";
import { TextInput } from "../../src/parties/text.ts";
import type { Range } from "../../src/program/plan.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf, FRAME_HEADER } from "../../src/protocols/cost.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { harness } from "./harness.ts";
import { World } from "./world.ts";

let here: World;
let dir: string;
let listeners: TcpListener[];
let failures: string[];

beforeEach(async () => {
  here = await World.create();
  ({ dir, listeners, failures } = here);
});
afterEach(() => here.close());

/** Of a session that nobody else has. */
function freshParts() {
  return {
    version: PROTOCOL_VERSION,
    model: "1".repeat(64),
    program: "0".repeat(64),
    clientNonce: hex(randomKey()),
    serverNonce: hex(randomKey()),
    ...{ client: "", server: "", dealer: "" },
  };
}

describe("sessions", () => {
  it.each(["private", "public"] as const)(
    "answer several texts of several lengths, embedding %s, at the predicted cost",
    async (embedding) => {
      const w = await here.services({ spec: { embedding } });
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
      const w = await here.services({ spec: { embedding } });
      const client = await w.connect();
      const texts = [5, 16, 9].map((tokens) => randomText(w.spec, tokens, tokens));
      const run = await client.inferAll(texts);
      expect(run.length).toBe(16);
      texts.forEach((text, t) => {
        const expected = w.float(text, 16);
        for (const [i, x] of expected.entries()) expect(Math.abs(run.logits[t][i] - x)).toBeLessThan(0.05);
      });
      const cost = costOf(compile(w.spec, w.plan, { ...oneTurn(16), anyLength: true }));
      const { flights, bytes } = cost.online;
      expect(run.flights).toBe(flights);
      // Every frame three times as long, but for its header.
      for (const way of ["client_to_server", "server_to_client"] as const) {
        const headers = (3 * bytes[way] - run.bytes.online[way]) / 2;
        expect(headers % FRAME_HEADER).toBe(0);
        expect(headers / FRAME_HEADER).toBeGreaterThan(0);
        expect(headers / FRAME_HEADER).toBeLessThanOrEqual(flights);
      }
      expect(run.bytes.offline.dealer_to_server).toBe(3 * cost.offline.bytes.dealer_to_server);
      await client.close();
      expect(w.clientRing.memory.bytesInUse).toBe(0);
      expect(failures).toEqual([]);
    },
  );

  it("of several clients at once do not mix", async () => {
    const w = await here.services();
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
    const w = await here.services();
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
    ...baseOf("llama"),
    keyHeads: 2,
    types: 1,
    labels: 60,
    labelNames: [],
    problem: "generation",
    gelu: "exact",
    softmax: "exact",
    embedding: "public",
  } satisfies Partial<ModelSpec>;

  async function tokensOf(stream: AsyncGenerator<GeneratedPiece, unknown, void>, most = 100) {
    const tokens: number[] = [];
    for await (const { token } of stream) if (tokens.push(token) === most) break;
    return tokens;
  }

  it("hands out tokens as they come, and leaves the connection for the next request", async () => {
    const w = await here.services({ spec: decoder });
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
    const w = await here.services({ spec: decoder });
    const client = await w.connect(true);
    const text = randomText(w.spec, 6, 1);
    const shape = client.generationShape(6, { maxTokens: 5 });
    await client.prepare(shape);
    const tokens: number[] = [];
    const run = async () => {
      for await (const { token } of client.generate(text, { maxTokens: 5 })) {
        tokens.push(token);
        if (tokens.length === 2) for (const listener of listeners.splice(0)) await listener.close();
      }
    };
    await expect(run()).rejects.toThrow(/closed the connection|is closed|gave up|broke off/);
    expect(tokens.length).toBeGreaterThanOrEqual(2);
    expect(await client.prepared(shape)).toBe(0);
  });
});

describe("a service under load", () => {
  it("refuses at once what it has no place for, and answers what it took", async () => {
    const w = await here.services({ serving: { limits: { running: 1, waiting: 2 } } });
    const clients = await Promise.all(Array.from({ length: 12 }, () => w.connect()));
    const outcomes = await Promise.all(
      clients.map(async (client, i) => {
        const started = performance.now();
        const text = randomText(w.spec, 6, i);
        try {
          const { logits, length } = await client.infer(text);
          const expected = w.float(text, length);
          return Math.max(...expected.map((x, k) => Math.abs(x - logits[k]))) < 0.05 ? "answered" : "wrong";
        } catch (error) {
          expect((error as Error).message).toMatch(/try again in a moment/);
          return performance.now() - started;
        } finally {
          await client.close();
        }
      }),
    );
    expect(outcomes.filter((o) => o === "answered").length).toBeGreaterThanOrEqual(1);
    expect(outcomes).not.toContain("wrong");
    expect(outcomes.filter((o) => typeof o === "number").length).toBeGreaterThanOrEqual(5);
  });

  it("keeps sessions apart that run at the same time: answers as one by one", async () => {
    const w = await here.services({ serving: { limits: { running: 32 } } });
    const texts = Array.from({ length: 16 }, (_, i) => randomText(w.spec, 4 + (i % 9), i));
    const runs = await Promise.all(
      texts.map(async (text) => {
        const client = await w.connect();
        const run = await client.infer(text);
        await client.close();
        return run;
      }),
    );
    runs.forEach(({ logits, length }, t) => {
      for (const [i, x] of w.float(texts[t], length).entries()) expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
    });
    expect(failures).toEqual([]);
  });

  it("answers one while another keeps all of its sessions waiting", async () => {
    // Counted apart by address: all of 127.0.0.0/8 is this machine.
    const w = await here.services({ serving: { limits: { running: 2, each: 8 } } });
    const program = await fingerprint(compile(w.spec, w.plan, oneTurn(8)));
    const idle = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const channel = await here.greeted(w.serverPort, "127.0.0.2");
        await channel.receiveJson(0, 2 ** 22);
        const nonce = hex(randomKey());
        await channel.sendJson(0, {
          request: "session",
          shape: oneTurn(8),
          program,
          prepare: false,
          whole: true,
          nonce,
        });
        await channel.receiveJson(0);
        return channel;
      }),
    );
    expect(w.server.admission.running).toBe(8);
    const client = await w.connect();
    expect((await client.infer(randomText(w.spec, 6, 1))).logits).toHaveLength(w.spec.labels);
    await client.close();
    for (const channel of idle) channel.close();
  });

  it("ends a run whose client takes its time again and again, long before its deadline", async () => {
    const w = await here.services({ serving: { graceMs: 100 } });
    const slow = await w.connect(false, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200));
    await expect(slow.infer(randomText(w.spec, 12, 1))).rejects.toThrow(/too slow|closed/);
    expect(failures.join()).toMatch(/the client is too slow: others need its place/);
  });

  it("goes down gently: what runs is answered, who idles is told, nobody begins", async () => {
    const w = await here.services();
    const [busy, idle] = [await w.connect(), await w.connect()];
    const running = busy.infer(randomText(w.spec, 12, 1));
    await expect.poll(() => w.server.admission.running, { interval: 1 }).toBe(1);
    const drained = w.server.drain();
    await expect(idle.infer(randomText(w.spec, 4, 2))).rejects.toThrow(/going down|closed the connection/);
    const { logits } = await running;
    expect(logits).toHaveLength(w.spec.labels);
    await drained;
    await expect(busy.infer(randomText(w.spec, 4, 2))).rejects.toThrow(/going down|closed the connection/);
    expect(w.server.admission.running).toBe(0);
    await expect(w.connect()).rejects.toThrow(/going down/);
  });

  it("ends a request that takes too long in all, however lively its client", async () => {
    const w = await here.services({ serving: { wholeMs: 1 } });
    const client = await w.connect();
    await expect(client.infer(randomText(w.spec, 12, 1))).rejects.toThrow(/closed|longer than/);
    await expect.poll(() => failures.join()).toMatch(/longer than 0.001 s in all/);
  });

  it("tells its operator numbers and fixed words alone", async () => {
    const events: ServiceEvent[] = [];
    const w = await here.services({ serving: { log: (event) => events.push(event) } });
    const client = await w.connect();
    await client.infer(randomText(w.spec, 5, 1));
    await client.close();
    const stranger = await here.greeted(w.serverPort);
    await stranger.receiveJson(0, 2 ** 22);
    await stranger.sendJson(0, { error: "CANARY" });
    await stranger.receiveJson(0).catch(() => {});
    expect(events.map((e) => e.event)).toEqual(["weights sent", "answered", "failed"]);
    expect(JSON.stringify(events)).not.toContain("CANARY");
    expect(events.map(lineOf).join()).not.toContain("CANARY");
  });
});

describe("failures", () => {
  it("a server that dies in the online phase ends the client at once, and the material is burnt", async () => {
    const w = await here.services();
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
    const first = await here.services({ modelId: id });
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
    const w = await here.services();
    const client = await w.connect();
    await listeners[0].close();
    await expect(client.infer(randomText(w.spec, 7, 1))).rejects.toThrow(
      /no dealer listens at|the server (refused|gave up): no dealer/,
    );
  });

  it("a client with another plan is refused before any material is used", async () => {
    const w = await here.services();
    const channel = await here.greeted(w.serverPort);
    const welcome = (await channel.receiveJson(0, 2 ** 22)) as { version: string };
    expect(welcome.version).toBe(PROTOCOL_VERSION);
    await channel.sendJson(0, {
      request: "session",
      shape: oneTurn(8),
      program: "0".repeat(64),
      prepare: false,
      whole: true,
      nonce: "0".repeat(32),
    });
    expect(await channel.receiveJson(0)).toEqual({
      error: "client and server compile different programs: install the same release on both sides",
    });
  });

  it("a length beyond the model, and a message that is none, are refused", async () => {
    const w = await here.services();
    for (const [message, expected] of [
      [
        {
          request: "session",
          shape: oneTurn(4000),
          program: "0".repeat(64),
          prepare: false,
          whole: true,
          nonce: "0".repeat(32),
        },
        /beyond the model's 64 positions/,
      ],
      [{ request: "dance" }, /cannot read/],
      [{ request: "run", texts: 1 }, /all material that waits, one for each text/],
      [{ request: "run", texts: 65 }, /cannot read/],
      [{ request: "session", length: "8" }, /cannot read/],
    ] as const) {
      const channel = await here.greeted(w.serverPort);
      await channel.receiveJson(0, 2 ** 22);
      await channel.sendJson(0, message);
      expect((await channel.receiveJson(0)) as { error: string }).toMatchObject({
        error: expect.stringMatching(expected),
      });
    }
  });

  it("more texts at once than the server holds material for are refused before any more is made", async () => {
    const bytes = 1_000_000;
    // Half of it for one client.
    const w = await here.services({ serving: { mostWaitingBytes: 2 * bytes } });
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

  it("one address prepares no more than its part of the store, and more again when it has used some", async () => {
    const { spec, plan } = await here.services();
    const { dealer_to_server, client_to_server } = costOf(compile(spec, plan, oneTurn(8))).offline.bytes;
    const each = dealer_to_server + client_to_server;
    const w = await here.services({ serving: { mostStockBytes: 2.5 * each } });
    const client = await w.connect(true);
    await client.prepareUpTo(oneTurn(8), 2);
    await expect(client.prepare(oneTurn(8))).rejects.toThrow(/as much material waits here as may be prepared for you/);
    const again = await w.connect(true);
    await again.infer(randomText(w.spec, 7, 1));
    await again.prepare(oneTurn(8));
    expect(await again.prepared(oneTurn(8))).toBe(2);
    await again.close();
  });

  it("a dealer keeps no place for a side that has gone", async () => {
    const w = await here.services();
    const session = freshParts();
    const channel = await here.dial(w.dealerPort, "dealer");
    await channel.sendJson(0, { role: "client", session, seed: hex(randomKey()) });
    await expect.poll(() => w.dealer.admission.connections).toBe(1);
    channel.close();
    // The other side may take a minute to come.
    await expect.poll(() => w.dealer.admission.connections).toBe(0);
  });

  it("a dealer refuses a session whose parts differ, that names other keys, or that it has seen", async () => {
    const w = await here.services({ dealing: { meetingMs: 5000 } });
    const parts = freshParts();
    const seed = "0".repeat(32);
    const model = { id: "2".repeat(64), commitment: "3".repeat(64), tables: null, spec: w.spec, plan: w.plan };
    const say = async (message: object) => {
      const channel = await here.dial(w.dealerPort, "dealer");
      await channel.sendJson(0, message);
      return channel.receiveJson(0);
    };
    // Two models, two sessions: they never meet.
    expect(
      await Promise.all([
        say({ role: "client", session: parts, seed }),
        say({ role: "server", session: { ...parts, model: model.id }, shape: oneTurn(8), seed, model, verify: 0 }),
      ]),
    ).toEqual([
      { error: "the server's side of the session did not come in time" },
      { error: "the client's side of the session did not come in time" },
    ]);
    expect(await say({ role: "client", session: parts, seed })).toEqual({
      error: "this session was dealt before: material is made once only",
    });
    expect(await say({ role: "client", session: { ...parts, dealer: "a".repeat(64) }, seed })).toEqual({
      error: "the session names other keys than this connection has: start all parties with keys, or none",
    });
    const other = { ...parts, clientNonce: hex(randomKey()) };
    expect(
      await Promise.all([
        say({ role: "client", session: other, seed }),
        say({ role: "server", session: other, shape: oneTurn(8), seed, model, verify: 0 }),
      ]),
    ).toEqual([{ error: "the server names two models" }, { error: "the server names two models" }]);
  });

  it("a server that cannot reach its dealer says so at once", async () => {
    const w = await here.services();
    const client = await w.connect();
    for (const listener of listeners) if (listener.address.port === w.dealerPort) await listener.close();
    // The deadline of every connection is that of a test: whoever waited for it would not be done in time.
    await expect(client.infer(randomText(w.spec, 5, 1))).rejects.toThrow(/no dealer listens/);
  });

  it("a text whose embedding leaves the plan's range is refused before anything is sent", async () => {
    const shrink = ([lo, hi]: Range): Range => [lo / 8, hi / 8];
    const h = await harness({ embedding: "public" }, 16, undefined, (plan) => ({
      ...plan,
      ranges: { ...plan.ranges, "embeddings.out": shrink(plan.ranges["embeddings.out"]) },
    }));
    await expect(h.secure(randomText(h.spec, 12, 1))).rejects.toThrow(/^the text lies outside the plan's range/);
  });

  it("a run that breaks off at the client ends the connection, and the server goes on", async () => {
    const w = await here.services({ spec: { embedding: "public" } });
    const client = await w.connect();
    const beyond = vi.spyOn(TextInput.prototype, "fill").mockImplementationOnce(() => {
      throw new Error("the text lies outside the plan's range");
    });
    await expect(client.infer(randomText(w.spec, 6, 1))).rejects.toThrow(/outside the plan's range/);
    beyond.mockRestore();
    await expect.poll(() => w.server.admission.running).toBe(0);
    await expect(client.infer(randomText(w.spec, 6, 1))).rejects.toThrow(/outside the plan's range/);
    expect((await (await w.connect()).infer(randomText(w.spec, 6, 1))).logits).toHaveLength(w.spec.labels);
  });

  it.each([
    ["layer.0.query.out", 1 / 16, "layer.0.query"],
    // Below its range alone: a root whose table does not go so far.
    ["layer.0.norm.variance", 16, "variance"],
  ])("the fixed-point run finds every other value that leaves its range: %s", async (operation, factor, name) => {
    const h = await harness({ embedding: "public" }, 16, undefined, (plan) => {
      const [lo, hi] = plan.ranges[operation];
      return { ...plan, ranges: { ...plan.ranges, [operation]: [factor * lo, factor * hi] } };
    });
    const { violations } = h.clear(randomText(h.spec, 12, 1));
    expect(violations[0]).toMatchObject({ name });
  });
});

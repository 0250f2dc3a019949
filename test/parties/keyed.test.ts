/** Servers and clients with keys at one dealer and one server: what one key takes, it does not take from another. */

import { beforeAll, describe, expect, it } from "vitest";
import type { Channel } from "../../src/channels/channel.ts";
import { memoryPair } from "../../src/channels/memory.ts";
import { randomText } from "../../src/models/catalog.ts";
import { Client } from "../../src/parties/client.ts";
import { DealerService } from "../../src/parties/dealer.ts";
import { HelperService } from "../../src/parties/helper.ts";
import { publicModel } from "../../src/parties/model-identity.ts";
import { type ServerOptions, ServerService } from "../../src/parties/server.ts";
import { ThinClient } from "../../src/parties/thin.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { costOf } from "../../src/protocols/cost.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { Secret } from "../../src/ring/secret.ts";
import { type Harness, harness } from "./harness.ts";

let h: Harness;
beforeAll(async () => {
  h = await harness({}, 8);
});

/** Both ends know each other by the fingerprint of a key, as over TLS, and counts by it. */
function pair(left: string, right: string): [Channel, Channel] {
  const ends = memoryPair();
  const identify = (end: Channel, own: string, peer: string) =>
    Object.defineProperties(end, {
      identities: { value: { own: fingerprint(own), peer: fingerprint(peer) } },
      account: { value: fingerprint(peer) },
    });
  identify(ends[0], left, right);
  identify(ends[1], right, left);
  return ends;
}

const fingerprint = (name: string) => Buffer.from(name).toString("hex").padEnd(64, "0");

function dial(service: DealerService | ServerService, from: string, to: string): Channel {
  const [mine, theirs] = pair(from, to);
  service.serve(theirs).catch(() => {});
  return mine;
}

/** A server of this name, and its clients by theirs. */
async function serverAt(
  dealer: DealerService,
  name: string,
  options: Partial<ServerOptions> = {},
  id = hex(randomKey()),
) {
  const { spec, plan, weights } = h;
  const model = await publicModel({ spec, plan, tokenizer: {}, commitment: id }, weights);
  const served = { model, modelKey: new Secret(randomKey()), weights: async () => weights, tokenizer: {} };
  const connectDealer = async () => dial(dealer, name, "dealer");
  const server = new ServerService(await Ring.create(), served, { connectDealer, ...options });
  const connect = (client: string, more: Partial<Parameters<typeof Client.connect>[2]> = {}) =>
    Client.connect(h.ring, dial(server, client, name), {
      connectDealer: async () => dial(dealer, client, "dealer"),
      ...more,
    });
  return { server, connect };
}

/** Bytes of a model's masked weights. */
const all = (slots = h.program.weights) => slots.reduce((sum, { rows, columns }) => sum + 8 * rows * columns, 0);

/** How far an answer is from the float model's, and which part of the weights the dealer was sent for it. */
async function asked(client: Client, seed: number): Promise<{ error: number; sent: number }> {
  const text = randomText(h.spec, 7, seed);
  const { logits, bytes } = await client.infer(text);
  const error = Math.max(...h.float(text).map((x, i) => Math.abs(x - logits[i])));
  await client.close();
  return { error, sent: Math.round((10 * bytes.setup.server_to_dealer) / all()) / 10 };
}

const errorOf = async (client: Client, seed: number) => (await asked(client, seed)).error;

describe("masked weights at a dealer", () => {
  it("are one server's, whatever another calls its model", async () => {
    const dealer = new DealerService(await Ring.create());
    const id = hex(randomKey());
    const [one, other] = [await serverAt(dealer, "one", {}, id), await serverAt(dealer, "other", {}, id)];
    // Each has a key of R of its own: an answer from the other's weights would be noise.
    const sent: number[] = [];
    for (const { connect } of [one, other, one, other]) {
      const answer = await asked(await connect("client"), sent.length);
      expect(answer.error).toBeLessThan(0.05);
      sent.push(answer.sent);
    }
    expect(sent).toEqual([1, 1, 0, 0]);
    expect(dealer.maskedWeights.bytes).toBe(2 * all());
  });

  it("go, the longest unused first, where they are more than may be kept, and are sent again", async () => {
    const ring = await Ring.create();
    const dealer = new DealerService(ring, { mostWeightBytes: 2.5 * all() });
    const [a, b, c] = [await serverAt(dealer, "a"), await serverAt(dealer, "b"), await serverAt(dealer, "c")];
    const rounds = [a, b, a, c, a, b];
    const sent: number[] = [];
    for (const { connect } of rounds) {
      const answer = await asked(await connect("client"), sent.length);
      expect(answer.error).toBeLessThan(0.05);
      sent.push(answer.sent);
      expect(dealer.maskedWeights.bytes).toBeLessThanOrEqual(2.5 * all());
      expect(ring.memory.bytesInUse).toBeGreaterThanOrEqual(dealer.maskedWeights.bytes);
      expect(ring.memory.bytesInUse).toBeLessThan(dealer.maskedWeights.bytes + 64 * 3 * h.program.weights.length);
    }
    expect(sent.slice(0, 5)).toEqual([1, 1, 0, 1, 0]);
    // Of b's, half had gone.
    expect(sent[5]).toBeGreaterThan(0.3);
    expect(sent[5]).toBeLessThan(0.9);
  });

  it("stay while a session is dealt from them, whatever others do; then none does where none may be kept", async () => {
    const ring = await Ring.create();
    const dealer = new DealerService(ring, { mostWeightBytes: 0 });
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const connectDealer = async () => {
      const channel = dial(dealer, "slow", "dealer");
      const send = channel.send.bind(channel);
      channel.send = (phase, step, parts) =>
        phase === "setup" && step >= 3 ? gate.then(() => send(phase, step, parts)) : send(phase, step, parts);
      return channel;
    };
    const [slow, quick] = [await serverAt(dealer, "slow", { connectDealer }), await serverAt(dealer, "quick")];
    const answer = asked(await slow.connect("client"), 1);
    const first = all(h.program.weights.slice(0, 3));
    await expect.poll(() => dealer.maskedWeights.bytes).toBe(first);
    for (let i = 0; i < 3; i++) {
      expect(await asked(await quick.connect("client"), i)).toMatchObject({ sent: 1 });
      expect(dealer.maskedWeights.bytes).toBe(first);
    }
    open();
    expect((await answer).error).toBeLessThan(0.05);
    await expect.poll(() => [dealer.maskedWeights.bytes, ring.memory.bytesInUse]).toEqual([0, 0]);
  });

  it("serve sessions of several servers at once, in a memory that keeps none", async () => {
    const ring = await Ring.create();
    const dealer = new DealerService(ring, { mostWeightBytes: 0 });
    const servers = [await serverAt(dealer, "one"), await serverAt(dealer, "two")];
    const answers = Array.from({ length: 8 }, async (_, i) => errorOf(await servers[i % 2].connect(`client ${i}`), i));
    for (const error of await Promise.all(answers)) expect(error).toBeLessThan(0.05);
    await expect.poll(() => [dealer.maskedWeights.bytes, ring.memory.bytesInUse]).toEqual([0, 0]);
  });

  it("that do not arrive leave nothing behind", async () => {
    const ring = await Ring.create();
    const dealer = new DealerService(ring);
    const connectDealer = async () => {
      const channel = dial(dealer, "broken", "dealer");
      const send = channel.send.bind(channel);
      channel.send = async (phase, step, parts) => {
        if (phase === "setup" && step === 3) channel.close(new Error("broke off"));
        return send(phase, step, parts);
      };
      return channel;
    };
    const [broken, whole] = [await serverAt(dealer, "broken", { connectDealer }), await serverAt(dealer, "whole")];
    await expect(asked(await broken.connect("client"), 1)).rejects.toThrow();
    await expect.poll(() => dealer.admission.running).toBe(0);
    expect(ring.memory.bytesInUse).toBeLessThan(dealer.maskedWeights.bytes + 64 * 3 * h.program.weights.length);
    expect(dealer.maskedWeights.bytes).toBeLessThan(all());
    expect(await errorOf(await whole.connect("client"), 1)).toBeLessThan(0.05);
  });
});

it("one key's material in memory leaves others room, all keys' together end at the server's bound", async () => {
  const { dealer_to_server, client_to_server } = costOf(h.program).offline.bytes;
  const each = dealer_to_server + client_to_server;
  const dealer = new DealerService(await Ring.create());
  const { server, connect } = await serverAt(dealer, "server", { mostWaitingBytes: 4.5 * each });
  /** Has the material of two texts wait, until it is let go. */
  const hold = async (name: string) => {
    let letGo = () => {};
    const held = new Promise<never>((_, reject) => {
      letGo = () => reject(new Error("let go"));
    });
    let dealt = 0;
    const client = await connect(name, {
      connectDealer: async () => (dealt++ < 2 ? dial(dealer, name, "dealer") : held),
    });
    const before = server.materialBytes;
    const run = client.inferAll([1, 2, 3].map((i) => randomText(h.spec, 7, i)));
    run.catch(() => {});
    await expect.poll(() => server.materialBytes - before).toBe(2 * each);
    return letGo;
  };
  const letGo = await hold("a");
  await expect((await connect("a")).infer(randomText(h.spec, 7, 1))).rejects.toThrow(
    /your runs take all the memory that one key may have here: ask about fewer at once, or again in a moment$/,
  );
  expect(await errorOf(await connect("b"), 1)).toBeLessThan(0.05);
  const others = await hold("b");
  await expect((await connect("c")).infer(randomText(h.spec, 7, 1))).rejects.toThrow(
    /this server has no memory for that much material now: ask about fewer at once, or again in a moment$/,
  );
  expect(server.materialBytes).toBe(4 * each);
  letGo();
  await expect.poll(() => server.materialBytes).toBe(2 * each);
  for (const name of ["a", "c"]) expect(await errorOf(await connect(name), 2)).toBeLessThan(0.05);
  others();
  await expect.poll(() => server.materialBytes).toBe(0);
});

it("material made ready takes its room until it is used, exchanged or lost with its connection", async () => {
  const { server, connect } = await serverAt(new DealerService(await Ring.create()), "server");
  const client = await connect("client");
  const sizes: number[] = [];
  const note = () => sizes.push(server.materialBytes);
  await client.makeReady(oneTurn(8));
  note();
  await client.makeReady(oneTurn(8));
  note();
  await client.inferAt(randomText(h.spec, 7, 1), 8);
  note();
  await client.makeReady(oneTurn(8));
  await client.close();
  await expect.poll(() => server.materialBytes).toBe(0);
  const { dealer_to_server, client_to_server } = costOf(h.program).offline.bytes;
  const each = dealer_to_server + client_to_server;
  expect(sizes).toEqual([each, each, 0]);
});

it("one key's connections leave others theirs, at a server as at a dealer", async () => {
  const limits = { connectionsEach: 2 };
  const dealer = new DealerService(await Ring.create(), { limits, meetingMs: 5000 });
  const { server, connect } = await serverAt(dealer, "server", { limits });
  const open = [await connect("a"), await connect("a")];
  await expect(connect("a")).rejects.toThrow(/the server refused: 2 connections of yours are open already/);
  for (let i = 0; i < 2; i++) dial(dealer, "a", "dealer");
  await expect(open[0].infer(randomText(h.spec, 7, 1))).rejects.toThrow(/2 connections of yours are open already/);
  expect(await errorOf(await connect("b"), 1)).toBeLessThan(0.05);
  const connections = () => [server, dealer].map(({ admission }) => admission.connections);
  await expect.poll(connections).toEqual([1, 2]);
});

it("a key that sends a dealer long messages is refused before they are read, and no other is", async () => {
  const dealer = new DealerService(await Ring.create(), { limits: { longBytesPerMinute: 300_000 } });
  const answer = async (from: string, padding: number): Promise<string> => {
    const channel = dial(dealer, from, "dealer");
    await channel.sendJson(0, { padding: "x".repeat(padding) });
    const { error } = (await channel.receiveJson(0)) as { error: string };
    channel.close();
    return error;
  };
  for (let i = 0; i < 2; i++) expect(await answer("greedy", 250_000)).toMatch(/^the peer sent a message/);
  expect(await answer("greedy", 250_000)).toMatch(/^you send many long messages/);
  expect(await answer("greedy", 100)).toMatch(/^the peer sent a message/);
  expect(await answer("other", 250_000)).toMatch(/^the peer sent a message/);
});

describe("a server that takes runs from its helpers alone", () => {
  it("answers texts that they carry, and makes nothing for others", async () => {
    const dealer = new DealerService(await Ring.create());
    const { server } = await serverAt(dealer, "server", { runs: (one) => one === fingerprint("helper") });
    const helper = new HelperService(await Ring.create(), {
      connectServer: async () => dial(server, "helper", "server"),
      connectDealer: async () => dial(dealer, "helper", "dealer"),
    });
    const toHelper = async () => {
      const [mine, theirs] = pair("owner", "helper");
      helper.serve(theirs).catch(() => {});
      return mine;
    };
    const owner = await ThinClient.connect(h.ring, dial(server, "owner", "server"), toHelper);
    const text = randomText(h.spec, 7, 1);
    const { logits } = await owner.infer(text);
    for (const [i, x] of h.float(text).entries()) expect(Math.abs(logits[i] - x)).toBeLessThan(0.05);
    await owner.close();
    const itself = await Client.connect(h.ring, dial(server, "owner", "server"), {
      connectDealer: async () => dial(dealer, "owner", "dealer"),
    });
    await expect(itself.infer(text)).rejects.toThrow(/takes runs from its helpers alone/);
    expect(server.materialBytes).toBe(0);
  });
});

/** One contract for every wire, and the framing byte by byte. */
import { connect } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Channel, ChannelError } from "../../src/channels/channel.ts";
import { HEADER_BYTES } from "../../src/channels/frame.ts";
import { Identity } from "../../src/channels/identity.ts";
import { memoryPair } from "../../src/channels/memory.ts";
import { FrameTags, NO_KEY, TAG_BYTES } from "../../src/channels/tag.ts";
import { connectTcp, listenTcp, type Security, type TcpListener } from "../../src/channels/tcp.ts";
import type { Wire } from "../../src/channels/wire.ts";
import { closeWeb, webPair } from "./web.ts";

const listeners: TcpListener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
  closeWeb();
});

const [SERVER, CLIENT] = [Identity.create(), Identity.create()];

/** No test waits for it to pass. */
const PATIENT_MS = 300_000;

/** Security of one end that trusts the other alone. */
function security(identity: Identity, other: Identity): Security {
  return { identity, trusts: (fingerprint) => fingerprint === other.fingerprint };
}

async function tcpPair(deadlineMs = PATIENT_MS, server?: Security, client?: Security): Promise<[Channel, Channel]> {
  let arrived: (channel: Channel) => void = () => {};
  const other = new Promise<Channel>((resolve) => {
    arrived = resolve;
  });
  const listener = await listenTcp("127.0.0.1", 0, (channel) => arrived(channel), {
    peer: "client",
    deadlineMs,
    security: server,
  });
  listeners.push(listener);
  const { host, port } = listener.address;
  const dialled = await connectTcp(host, port, { peer: "server", deadlineMs, security: client });
  // The listener may give up a handshake that is over here.
  let stop = () => {};
  const gone = new Promise<never>((_, reject) => {
    stop = dialled.watch(reject);
  });
  const accepted = await Promise.race([other, gone]);
  stop();
  return [dialled, accepted];
}

const WIRES: [string, Pair][] = [
  ["memory", async (deadlineMs) => memoryPair(deadlineMs)],
  ["TCP", tcpPair],
  ["TLS", (deadlineMs) => tcpPair(deadlineMs, security(SERVER, CLIENT), security(CLIENT, SERVER))],
  ["WebSocket", (deadlineMs) => webPair(deadlineMs).then(({ channels }) => channels)],
];

type Pair = (deadlineMs?: number) => Promise<[Channel, Channel]>;

/** A pair that soon gives up, and after how many seconds: a busy machine takes longer to connect, and gets twice as long until it has. */
async function impatient(pair: Pair, deadlineMs: number): Promise<{ ends: [Channel, Channel]; seconds: number }> {
  try {
    return { ends: await pair(deadlineMs), seconds: deadlineMs / 1000 };
  } catch (error) {
    if (!(error instanceof ChannelError) || deadlineMs > PATIENT_MS) throw error;
    return impatient(pair, 2 * deadlineMs);
  }
}

describe("TLS", () => {
  const listening = async (server?: Security, deadlineMs = PATIENT_MS) => {
    const channels: Channel[] = [];
    const listener = await listenTcp("127.0.0.1", 0, (c) => channels.push(c), {
      peer: "client",
      deadlineMs,
      security: server,
    });
    listeners.push(listener);
    return { ...listener.address, channels };
  };
  const dial = (port: number, client?: Security, deadlineMs = PATIENT_MS) =>
    connectTcp("127.0.0.1", port, { peer: "server", deadlineMs, security: client });

  it("tells both ends whom they speak to", async () => {
    const [a, b] = await tcpPair(PATIENT_MS, security(SERVER, CLIENT), security(CLIENT, SERVER));
    expect(a.identities).toEqual({ own: CLIENT.fingerprint, peer: SERVER.fingerprint });
    expect(b.identities).toEqual({ own: SERVER.fingerprint, peer: CLIENT.fingerprint });
    a.close();
  });

  it("refuses a server of another key, before a byte is said", async () => {
    const { port, channels } = await listening(security(SERVER, CLIENT));
    const expected = security(CLIENT, Identity.create());
    await expect(dial(port, expected)).rejects.toThrow(
      new RegExp(`has the key ${SERVER.fingerprint}, which is not the one expected`),
    );
    // The handshake may be over at the server, too; nothing came behind it.
    for (const channel of channels) await expect(channel.receiveJson(0)).rejects.toThrow(/closed the connection/);
  });

  it("refuses a client that is not on the list, and says so", async () => {
    const { port, channels } = await listening(security(SERVER, CLIENT));
    const stranger = Identity.create();
    const channel = await dial(port, security(stranger, SERVER));
    await expect(channel.receive("online", 0, 1)).rejects.toThrow(
      new RegExp(`key ${stranger.fingerprint} is not on the list`),
    );
    expect(channels).toEqual([]);
  });

  it("says in one line that one side has keys and the other none", async () => {
    const plain = await listening();
    await expect(dial(plain.port, security(CLIENT, SERVER), 500)).rejects.toThrow(/does not answer|does not speak TLS/);
    const tls = await listening(security(SERVER, CLIENT), 500);
    const channel = await dial(tls.port);
    void channel.sendJson(0, { hello: 1 }).catch(() => {});
    await expect(channel.receiveJson(0)).rejects.toThrow(ChannelError);
  });

  it("holds a key that is not its certificate's for none", () => {
    expect(() => new Identity(CLIENT.secretKey(), SERVER.certificate)).toThrow(/not the certificate's/);
    expect(JSON.stringify({ one: CLIENT })).toBe(`{"one":"${CLIENT.fingerprint}"}`);
  });
});

describe.each(WIRES)("a channel over %s", (wire, pair) => {
  it("delivers in order and counts every byte and flight", async () => {
    const [a, b] = await pair();
    await a.send("offline", 3, [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
    await a.sendJson(0, { hello: "b" });
    await a.send("online", 0, [new Uint8Array(0)]);
    expect([...(await b.receive("offline", 3, 3))]).toEqual([1, 2, 3]);
    expect(await b.receiveJson(0)).toEqual({ hello: "b" });
    expect((await b.receive("online", 0, 0)).length).toBe(0);
    await b.send("online", 0, [Uint8Array.of(9)]);
    await b.send("online", 1, [Uint8Array.of(9)]);
    await a.receive("online", 0, 1);
    await a.receive("online", 1, 1);
    expect(a.sent.offline).toEqual({ bytes: HEADER_BYTES + 3, frames: 1 });
    expect(b.received).toEqual(a.sent);
    expect(a.received.online).toEqual({ bytes: 2 * HEADER_BYTES + 2, frames: 2 });
    expect([a.onlineFlights, b.onlineFlights]).toEqual([2, 2]);
    a.close();
  });

  it.each([
    ["phase", (c: Channel) => c.receive("online", 3, 4)],
    ["step", (c: Channel) => c.receive("offline", 4, 4)],
    ["longer length", (c: Channel) => c.receive("offline", 3, 5)],
    ["shorter length", (c: Channel) => c.receive("offline", 3, 3)],
  ])("refuses a frame of another %s, and says nothing of its content", async (_what, receive) => {
    const [a, b] = await pair();
    await a.send("offline", 3, [Uint8Array.of(115, 101, 99, 114)]);
    await expect(receive(b)).rejects.toThrow(/sent another message than the protocol has here/);
    await expect(b.receive("offline", 3, 4)).rejects.toThrow(ChannelError);
  });

  it("reads what was sent before the peer closed, then fails at once", async () => {
    const [a, b] = await pair();
    await a.send("setup", 1, [Uint8Array.of(7)]);
    await a.sendJson(0, { last: true });
    a.close();
    expect([...(await b.receive("setup", 1, 1))]).toEqual([7]);
    expect(await b.receiveJson(0)).toEqual({ last: true });
    await expect(b.receive("setup", 2, 1)).rejects.toThrow(/closed the connection/);
  });

  it("gives a waiting receiver up when the peer closes, or stays silent", async () => {
    const [a, b] = await pair();
    const waiting = b.receive("online", 0, 8);
    a.close();
    await expect(waiting).rejects.toThrow(/closed the connection/);
    const {
      ends: [, silent],
      seconds,
    } = await impatient(pair, 50);
    await expect(silent.receive("online", 0, 8)).rejects.toThrow(
      new RegExp(`no answer from the .* within ${seconds} s: is it running`),
    );
  });

  it("passes on why the peer gave up, in the middle of anything", async () => {
    const [a, b] = await pair();
    await a.sendJson(0, { error: "out of\u0007 cheese" });
    await expect(b.receive("online", 5, 1000)).rejects.toThrow(/gave up: out of {2}cheese/);
  });

  it("does not deadlock when both send 24 MiB and then both receive", async () => {
    const [a, b] = await pair();
    const big = new Uint8Array(24 * 2 ** 20).fill(5);
    const side = async (c: Channel) => {
      const sending = c.send("online", 0, [big]);
      const got = await c.receive("online", 0, big.length);
      await sending;
      return got.length;
    };
    expect(await Promise.all([side(a), side(b)])).toEqual([big.length, big.length]);
    a.close();
  });

  it("gives up a peer that takes nothing, and whoever sends to it goes on", async () => {
    const {
      ends: [a, b],
      seconds,
    } = await impatient(pair, 300);
    if (wire === "memory") return; // It takes everything.
    const sent = Array.from({ length: 20 }, () => a.send("setup", 1, [new Uint8Array(8 << 20)]));
    const results = await Promise.allSettled(sent);
    expect(results.at(-1)).toMatchObject({ status: "rejected" });
    await expect(a.sendJson(0, {})).rejects.toThrow(`took nothing for ${seconds} s`);
    b.close();
  });

  it("sends large frames side by side without mixing them", async () => {
    const [a, b] = await pair();
    const frames = [9, 5, 7].map((megabytes, i) => new Uint8Array(megabytes * 1_000_003).fill(i + 1));
    const sent = frames.map((frame, i) => a.send("setup", i, [frame.subarray(0, 11), frame.subarray(11)]));
    for (const [i, frame] of frames.entries()) {
      const got = await b.receive("setup", i, frame.length);
      expect(got.every((byte) => byte === i + 1)).toBe(true);
    }
    await Promise.all(sent);
    a.close();
  });

  it("refuses JSON that is too long or none", async () => {
    const [a, b] = await pair();
    await a.sendJson(0, "x".repeat(200));
    await expect(b.receiveJson(0, 100)).rejects.toThrow(ChannelError);
    const [c, d] = await pair();
    await c.send("control", 0, [Uint8Array.of(123, 255)]);
    await expect(d.receiveJson(0)).rejects.toThrow(/not JSON/);
  });
});

function silentWire(): Wire & { paused: boolean; closed: boolean } {
  return {
    paused: false,
    closed: false,
    async write() {},
    pause() {
      this.paused = true;
    },
    resume() {
      this.paused = false;
    },
    close() {
      this.closed = true;
    },
  };
}

/** A frame as the opener sends it; `tags` are those of its direction. */
function frame(
  length: number,
  phase: number,
  step: number,
  sequence: number,
  payload: Uint8Array,
  tags = new FrameTags(NO_KEY, "opener"),
): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  view.setUint8(4, phase);
  view.setUint32(8, step, true);
  view.setUint8(5, 1);
  view.setUint32(12, sequence, true);
  const fields = HEADER_BYTES - TAG_BYTES;
  bytes.set(tags.next([bytes.subarray(0, fields), payload]), fields);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

describe("framing", () => {
  it.each([1, 2, 5, 16, 17, 40])("is the same in chunks of %i bytes", async (size) => {
    const channel = new Channel(silentWire(), { peer: "peer", deadlineMs: 1000, side: "listener" });
    const tags = new FrameTags(NO_KEY, "opener");
    const stream = Buffer.concat([0, 1, 2].map((i) => frame(5, 2, i, i, new Uint8Array(5).fill(i), tags)));
    for (let at = 0; at < stream.length; at += size) channel.feed(Uint8Array.from(stream.subarray(at, at + size)));
    for (const i of [0, 1, 2]) expect([...(await channel.receive("offline", i, 5))]).toEqual(new Array(5).fill(i));
  });

  it("takes no memory for a frame that nobody expects", async () => {
    const wire = silentWire();
    const channel = new Channel(wire, { peer: "peer", deadlineMs: 1000, side: "listener" });
    channel.feed(frame(2 ** 31, 3, 0, 0, new Uint8Array(0)));
    expect(wire.paused).toBe(true);
    await expect(channel.receive("online", 0, 10)).rejects.toThrow(ChannelError);
    expect(wire.closed).toBe(true);
  });

  it("refuses a frame that is repeated or left out", async () => {
    for (const sequence of [0, 2]) {
      const channel = new Channel(silentWire(), { peer: "peer", deadlineMs: 1000, side: "listener" });
      const tags = new FrameTags(NO_KEY, "opener");
      channel.feed(frame(0, 2, 1, 0, new Uint8Array(0), tags));
      channel.feed(frame(0, 2, 1, sequence, new Uint8Array(0), tags));
      await channel.receive("offline", 1, 0);
      await expect(channel.receive("offline", 1, 0)).rejects.toThrow(ChannelError);
    }
  });

  it.each([
    ["a bit of the payload", HEADER_BYTES + 2],
    ["a bit of the tag", HEADER_BYTES - 1],
    ["the direction", 5],
    ["the session", 17],
    ["the sequence number", 12],
  ])("refuses a frame with %s turned, on every wire's framing", async (_what, at) => {
    const channel = new Channel(silentWire(), { peer: "peer", deadlineMs: 1000, side: "listener" });
    const bytes = frame(5, 2, 0, 0, new Uint8Array(5).fill(7));
    bytes[at] ^= 4;
    channel.feed(bytes);
    await expect(channel.receive("offline", 0, 5)).rejects.toThrow(/was altered|another message than/);
  });

  it("refuses a frame of another session, also one that was right before", async () => {
    const [a, b] = memoryPair();
    const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    a.bind(one);
    b.bind(one);
    await a.send("online", 0, [Uint8Array.of(1)]);
    expect([...(await b.receive("online", 0, 1))]).toEqual([1]);
    b.bind(two);
    await a.send("online", 1, [Uint8Array.of(1)]);
    await expect(b.receive("online", 1, 1)).rejects.toThrow(/another message than/);
  });

  it("says in one line that nobody listens", async () => {
    const [a] = await tcpPair();
    a.close();
    const { port } = listeners[0].address;
    await listeners.splice(0)[0].close();
    await expect(connectTcp("127.0.0.1", port, { peer: "dealer", deadlineMs: PATIENT_MS })).rejects.toThrow(
      `no dealer listens at 127.0.0.1:${port}: start it, or give another address`,
    );
  });

  it("survives a peer that is not this program", async () => {
    let arrived: (channel: Channel) => void = () => {};
    const other = new Promise<Channel>((resolve) => {
      arrived = resolve;
    });
    const listener = await listenTcp("127.0.0.1", 0, (c) => arrived(c), { peer: "client", deadlineMs: 2000 });
    listeners.push(listener);
    const socket = connect(listener.address.port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await expect((await other).receiveJson(0)).rejects.toThrow(ChannelError);
    socket.destroy();
  });
});

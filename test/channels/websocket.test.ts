/** Authenticated encryption over WebSocket: who speaks to whom, and what somebody in between can do. */
import { createHash, createPublicKey } from "node:crypto";
import { connect } from "node:net";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ChannelError } from "../../src/channels/channel.ts";
import { Identity } from "../../src/channels/identity.ts";
import { type Pipe, secureAsListener, secureAsOpener } from "../../src/channels/secure.ts";
import { SigningKey, verifies } from "../../src/channels/signing.ts";
import { MOST_RECORD_BYTES } from "../../src/channels/websocket.ts";
import { CLIENT_KEY, closeWeb, dial, listening, pinned, relay, SERVER_KEY, webPair } from "./web.ts";

afterEach(closeWeb);

describe("a signing key", () => {
  it("has the fingerprint of the certificate that is made of it", () => {
    const identity = Identity.create();
    expect(identity.signingKey().fingerprint).toBe(identity.fingerprint);
  });

  it("is named as OpenSSL's public key is", () => {
    const key = SigningKey.create();
    const x = Buffer.from(key.publicKey).toString("base64url");
    const spki = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }).export({
      type: "spki",
      format: "der",
    });
    expect(key.fingerprint).toBe(createHash("sha256").update(spki).digest("hex"));
  });

  it("prints its fingerprint alone", () => {
    const key = SigningKey.create();
    const seed = Buffer.from(key.secretSeed()).toString("hex");
    for (const printed of [String(key), JSON.stringify({ key }), `${key}`]) {
      expect(printed).toContain(key.fingerprint);
      expect(printed).not.toContain(seed);
    }
  });

  it("holds what is no signature for none", () => {
    const [key, message] = [SigningKey.create(), new Uint8Array(3)];
    const signature = key.sign(message);
    expect(verifies(signature, message, key.publicKey)).toBe(true);
    expect(verifies(signature, new Uint8Array(4), key.publicKey)).toBe(false);
    expect(verifies(signature.subarray(1), message, key.publicKey)).toBe(false);
    expect(verifies(signature, message, SigningKey.create().publicKey)).toBe(false);
  });
});

describe("the handshake", () => {
  it("tells both ends whom they speak to", async () => {
    const {
      channels: [a, b],
    } = await webPair();
    expect(a.identities).toEqual({ own: CLIENT_KEY.fingerprint, peer: SERVER_KEY.fingerprint });
    expect(b.identities).toEqual({ own: SERVER_KEY.fingerprint, peer: CLIENT_KEY.fingerprint });
  });

  it("refuses a server of another key before it tells its own", async () => {
    const { url, channels } = await listening();
    await expect(dial(url, pinned(CLIENT_KEY, SigningKey.create()))).rejects.toThrow(
      new RegExp(`the server has the key ${SERVER_KEY.fingerprint}, which is not the one expected`),
    );
    expect(channels).toEqual([]);
  });

  it("refuses a client that is not on the list, and says so", async () => {
    const { url } = await listening();
    const stranger = SigningKey.create();
    const channel = await dial(url, pinned(stranger, SERVER_KEY));
    await expect(channel.receive("online", 0, 1)).rejects.toThrow(
      new RegExp(`key ${stranger.fingerprint} is not on the list`),
    );
  });

  /** Both ends over a pipe whose messages `change` may alter; the ends' errors. */
  async function over(change: (message: Uint8Array, index: number) => Uint8Array): Promise<string[]> {
    const ends: [Uint8Array[], Uint8Array[]] = [[], []];
    const wake: (() => void)[] = [];
    let sent = 0;
    let ended = false;
    const pipe = (own: number): Pipe => ({
      send(message) {
        ends[1 - own].push(change(message.slice(), sent++));
        for (const awake of wake.splice(0)) awake();
      },
      async next() {
        while (ends[own].length === 0 && !ended) await new Promise<void>((resolve) => wake.push(resolve));
        const message = ends[own].shift();
        if (message === undefined) throw new Error("the other end has gone");
        return message;
      },
    });
    const both = [
      secureAsOpener(pipe(0), pinned(CLIENT_KEY, SERVER_KEY), "server"),
      secureAsListener(pipe(1), SERVER_KEY, "client"),
    ];
    for (const end of both)
      void end.catch(() => {
        ended = true;
        for (const awake of wake.splice(0)) awake();
      });
    return (await Promise.allSettled(both)).map((end) => (end.status === "fulfilled" ? "" : String(end.reason)));
  }

  it("ends at one altered bit of any message", async () => {
    expect(await over((message) => message)).toEqual(["", ""]);
    for (const index of [0, 1, 2])
      for (const at of [0, 31, 32, 40, 95]) {
        const errors = await over((message, i) => {
          if (i === index && at < message.length) message[at] ^= 4;
          return message;
        });
        const altered = index !== 0 || at < 32;
        // The opener has done its part before its last message arrives.
        expect(errors[1] !== "" || errors[0] !== "", `message ${index}, byte ${at}`).toBe(altered);
      }
  });

  it("ends in an error of ours, whatever bytes come", async () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 200 });
    const sized = fc.oneof(
      bytes,
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 144, maxLength: 144 }),
    );
    const pipe = (messages: readonly Uint8Array[]): Pipe => {
      const left = [...messages];
      return { send: () => {}, next: async () => left.shift() ?? new Uint8Array(0) };
    };
    await fc.assert(
      fc.asyncProperty(fc.array(sized, { maxLength: 3 }), async (messages) => {
        const opener = secureAsOpener(pipe(messages), pinned(CLIENT_KEY, SERVER_KEY), "server");
        await expect(opener).rejects.toBeInstanceOf(ChannelError);
        await expect(secureAsListener(pipe(messages), SERVER_KEY, "client")).rejects.toBeInstanceOf(ChannelError);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses a point of small order, whose secret anybody knows", async () => {
    const errors = await over((message, i) => (i === 0 ? new Uint8Array(32) : message));
    expect(errors[1]).toMatch(/does not speak as this release does/);
  });

  it("takes no proof of another handshake", async () => {
    const kept: Uint8Array[] = [];
    await over((message) => {
      kept.push(message.slice());
      return message;
    });
    const errors = await over((message, i) => (i === 1 ? kept[1] : message));
    expect(errors[0]).not.toBe("");
  });

  it("cuts whoever speaks otherwise", async () => {
    const { url, channels } = await listening(500, undefined, 500);
    for (const first of ["text", new Uint8Array(5), new Uint8Array(MOST_RECORD_BYTES + 1), null]) {
      const socket = new WebSocket(url);
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("open", resolve));
      if (first !== null) socket.send(first);
      await new Promise((resolve) => socket.once("close", resolve));
    }
    expect(channels).toEqual([]);
  });

  it("survives whoever asks for something else and resets, and lets go of whoever stays", async () => {
    const { url, first } = await listening();
    const port = Number(new URL(url).port);
    const ask = (path: string) =>
      `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
      "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    for (const path of ["/x", "/mpc", "/"]) {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      socket.write(ask(path));
      await new Promise((resolve) => socket.once("data", resolve));
      socket.resetAndDestroy();
    }
    const stays = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    stays.write(ask("/x"));
    await new Promise((resolve) => stays.resume().once("close", resolve).once("end", resolve));
    // Still there.
    await dial(url);
    expect((await first).identities.peer).toBe(CLIENT_KEY.fingerprint);
    stays.destroy();
  });

  it("says in one line that nobody listens, or that the address is none", async () => {
    await expect(dial("ws://127.0.0.1:9/mpc")).rejects.toThrow(/no server answers at ws:\/\/127.0.0.1:9\/mpc/);
    await expect(dial("what")).rejects.toThrow(/is no address/);
  });
});

describe("records", () => {
  const CHANGES: [string, (record: Buffer) => Buffer[]][] = [
    ["altered", (record) => [Buffer.concat([record.subarray(0, -1), Buffer.of(record.at(-1)! ^ 1)])]],
    ["repeated", (record) => [record, record]],
    ["cut short", (record) => [record.subarray(0, -1)]],
    ["replaced by nothing", () => [Buffer.alloc(0)]],
    ["cut down to the beginning of its tag", (record) => [record.subarray(-16, -12)]],
  ];

  it.each(CHANGES)("end the connection when one is %s", async (_name, change) => {
    const { url, first } = await listening();
    // Past the handshake: one message of the listener, two of the opener.
    const between = await relay(url, (m, i, from) => (from === "opener" && i === 3 ? change(m) : [m]));
    const [a, b] = [await dial(between), await first];
    await a.send("online", 0, [Uint8Array.of(1)]);
    expect(await b.receive("online", 0, 1)).toEqual(Uint8Array.of(1));
    await a.send("online", 1, [Uint8Array.of(2)]).catch(() => {});
    const end = b.receive("online", 1, 1).then(() => b.receive("online", 2, 1));
    await expect(end).rejects.toThrow(/altered on its way|closed the connection/);
  });

  it("show nothing of what is sent", async () => {
    const { url, first } = await listening();
    const seen: Buffer[] = [];
    const between = await relay(url, (m) => {
      seen.push(m);
      return [m];
    });
    const [a, b] = [await dial(between), await first];
    const words = Buffer.from("words that nobody between may read");
    await a.send("control", 0, [words]);
    await b.receive("control", 0, words.length);
    expect(seen.length).toBeGreaterThan(3);
    const all = Buffer.concat(seen);
    for (const secret of [words, Buffer.from(CLIENT_KEY.publicKey), Buffer.from(SERVER_KEY.publicKey)])
      expect(all.includes(secret)).toBe(false);
  });
});

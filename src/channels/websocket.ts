/**
 * Channels over WebSocket: what a browser can speak. Every message is one sealed record (secure.ts), so that whoever relays it, a
 * proxy that ends TLS included, sees lengths and times alone.
 */

import { concatBytes } from "@noble/hashes/utils.js";
import { platform } from "#platform";
import type { Socket } from "../platform/platform.ts";
import { accountOf } from "./accounts.ts";
import { Channel, ChannelError, type ChannelOptions } from "./channel.ts";
import { portions } from "./portions.ts";
import {
  type PinnedKeys,
  type Pipe,
  RECORD_OVERHEAD,
  type Secured,
  secureAsListener,
  secureAsOpener,
} from "./secure.ts";
import type { Side } from "./tag.ts";
import type { Wire } from "./wire.ts";

export interface WebOptions extends Pick<ChannelOptions, "peer" | "deadlineMs"> {
  readonly security: PinnedKeys;
  /** Of a listener: the address at the other end. */
  readonly address?: string;
  /** Whoever has not finished the handshake by then is cut; 10 seconds unless given. */
  readonly handshakeMs?: number;
}

const OPEN = 1;
/** Content of a record, at most: progress shows on slow networks, and nobody makes a receiver take more memory at once. */
const RECORD = 1 << 20;
export const MOST_RECORD_BYTES = RECORD + RECORD_OVERHEAD;
/** Bytes that may wait in the socket's own buffer. */
const MOST_BUFFERED = 4 << 20;
/** Browsers do not say when their buffer has gone down: it is looked at. */
const LOOK_MS = 4;
const LINGER_MS = 5000;
const HANDSHAKE_MS = 10_000;

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/**
 * Connects to ws: or wss: and proves both keys.
 * @throws ChannelError when nobody answers there, does not in time, or is not whom one trusts.
 */
export async function connectWeb(url: string, options: WebOptions): Promise<Channel> {
  const { peer, deadlineMs, security, handshakeMs = HANDSHAKE_MS } = options;
  const messages = new Messages(socketTo(url, peer), peer);
  try {
    await messages.opened(deadlineMs, `no ${peer} answers at ${url}: is it running, and is the address right?`);
    const secured = await messages.within(handshakeMs, () => secureAsOpener(messages, security, peer));
    return channelOf(messages, secured, "opener", options);
  } catch (error) {
    messages.cut();
    throw error;
  }
}

function socketTo(url: string, peer: string): Socket {
  try {
    return platform.openSocket(url);
  } catch (cause) {
    const why = `"${url}" is no address of a ${peer}: write ws://host:port/mpc or wss://host/mpc`;
    throw new ChannelError(why, { cause });
  }
}

/** Takes a connection that came. Whoever is not trusted is told so, and cut. @throws ChannelError for who does not finish the handshake. */
export async function acceptWeb(socket: Socket, options: WebOptions): Promise<Channel> {
  const { peer, security, handshakeMs = HANDSHAKE_MS } = options;
  const messages = new Messages(socket, peer);
  const secured = await messages
    .within(handshakeMs, () => secureAsListener(messages, security.key, peer))
    .catch((error: Error) => {
      messages.cut();
      throw error;
    });
  const channel = channelOf(messages, secured, "listener", options);
  const found = secured.identities.peer;
  if (security.trusts(found)) return channel;
  await channel.refuse(`the key ${found} is not on the list here: ask the operator to add it`);
  throw new ChannelError(`a ${peer} has the key ${found}, which is not on the list`);
}

/** A socket's messages: one by one during the handshake, then to whoever takes them all. */
class Messages implements Pipe {
  readonly socket: Socket;
  private readonly peer: string;
  private readonly early: Uint8Array[] = [];
  private take: ((message: Uint8Array) => void) | null = null;
  private gone: (() => void) | null = null;
  private waiting: { resolve(message: Uint8Array): void; reject(error: Error): void } | null = null;
  private closed = false;

  constructor(socket: Socket, peer: string) {
    this.socket = socket;
    this.peer = peer;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.arrived(data));
    socket.addEventListener("close", () => this.ended());
    // "close" follows; without a listener ws would throw.
    socket.addEventListener("error", () => {});
  }

  /** Resolves when the connection stands. */
  opened(ms: number, otherwise: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = () => {
        clearTimeout(timer);
        reject(new ChannelError(otherwise));
      };
      const timer = setTimeout(failed, ms);
      this.socket.addEventListener("close", failed);
      this.socket.addEventListener("open", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Runs the handshake, for no longer than `ms`. */
  async within<T>(ms: number, work: () => Promise<T>): Promise<T> {
    const late = () => this.fail(new ChannelError(`the ${this.peer} did not finish the handshake: is it running?`));
    const timer = setTimeout(late, ms);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  send(message: Uint8Array): void {
    this.socket.send(message as Uint8Array<ArrayBuffer>);
  }

  next(): Promise<Uint8Array> {
    const early = this.early.shift();
    if (early !== undefined) return Promise.resolve(early);
    if (this.closed) return Promise.reject(this.lost());
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  /** From here on every message goes to `take`, those that came already first; `gone` is called after the last. */
  flow(take: (message: Uint8Array) => void, gone: () => void): void {
    this.take = take;
    this.gone = gone;
    for (const message of this.early.splice(0)) take(message);
    if (this.closed) gone();
  }

  cut(): void {
    if (this.socket.terminate !== undefined) this.socket.terminate();
    else this.socket.close();
  }

  private arrived(data: unknown): void {
    // Text, or more than anyone of this release sends: whoever it is does not speak as this release does.
    if (!(data instanceof ArrayBuffer) || data.byteLength > MOST_RECORD_BYTES) return this.cut();
    const message = new Uint8Array(data);
    if (this.take !== null) return this.take(message);
    const { waiting } = this;
    this.waiting = null;
    if (waiting !== null) waiting.resolve(message);
    else if (this.early.length < MOST_EARLY) this.early.push(message);
    else this.cut();
  }

  private ended(): void {
    this.closed = true;
    this.fail(this.lost());
    this.gone?.();
  }

  private fail(error: Error): void {
    this.waiting?.reject(error);
    this.waiting = null;
  }

  private lost(): ChannelError {
    return new ChannelError(`the ${this.peer} closed the connection: see its messages`);
  }
}

/** Messages that may come before they are asked for: an opener's proof and its first frames. */
const MOST_EARLY = 16;

function channelOf(messages: Messages, secured: Secured, side: Side, options: WebOptions): Channel {
  const { peer, deadlineMs, security, address } = options;
  const { key, identities } = secured;
  const account = side === "listener" ? accountOf(security, identities.peer, address) : "";
  const wire = new SealedWire(messages, secured, peer);
  const channel = new Channel(wire, { peer, deadlineMs, side, key, identities, account });
  let opened: Promise<void> = Promise.resolve();
  messages.flow(
    (record) => {
      // One behind the other: opening takes a moment, and the counter is the order.
      opened = opened
        .then(async () => channel.feed(await secured.opening.open(record)))
        .catch((error: Error) => channel.close(error));
    },
    () => {
      opened = opened.then(() => channel.disconnected());
    },
  );
  return channel;
}

/** Frames in sealed records. */
class SealedWire implements Wire {
  private readonly messages: Messages;
  private readonly secured: Secured;
  private readonly peer: string;
  private last: Promise<void> = Promise.resolve();

  constructor(messages: Messages, secured: Secured, peer: string) {
    this.messages = messages;
    this.secured = secured;
    this.peer = peer;
  }

  /** Resolves when all is sealed and no more than `MOST_BUFFERED` waits in the socket. */
  write(parts: readonly Uint8Array[], progress: (bytes: number) => void): Promise<void> {
    const mine = this.last.then(async () => {
      for (const some of portions(parts, RECORD)) {
        const record = await this.secured.sealing.seal(joined(some));
        await this.drained(progress);
        this.messages.send(record);
        progress(record.length);
      }
    });
    this.last = mine.catch(() => {});
    return mine;
  }

  pause(): void {
    this.messages.socket.pause?.();
  }

  resume(): void {
    this.messages.socket.resume?.();
  }

  /** What was written still leaves; then the connection ends, also when the peer takes nothing any more. */
  close(): void {
    const { socket } = this.messages;
    void this.last.then(() => socket.close());
    const timer: { unref?(): void } | number = setTimeout(() => this.messages.cut(), LINGER_MS);
    if (typeof timer === "object") timer.unref?.();
  }

  private async drained(progress: (bytes: number) => void): Promise<void> {
    const { socket } = this.messages;
    for (let before = socket.bufferedAmount; ; ) {
      if (socket.readyState !== OPEN) throw new ChannelError(`the ${this.peer} closed the connection`);
      if (socket.bufferedAmount <= MOST_BUFFERED) return;
      await wait(LOOK_MS);
      if (socket.bufferedAmount < before) progress(0);
      before = socket.bufferedAmount;
    }
  }
}

/** A record is sealed from one piece: the one copy of what is sent. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0] : concatBytes(...parts);
}

/** WebSocket channels on this machine, for tests: both ends, and what a relay between them can do. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { Channel } from "../../src/channels/channel.ts";
import type { PinnedKeys } from "../../src/channels/secure.ts";
import { SigningKey } from "../../src/channels/signing.ts";
import { CHANNEL_PATH, listenWeb } from "../../src/channels/web-listener.ts";
import { connectWeb } from "../../src/channels/websocket.ts";

export const [SERVER_KEY, CLIENT_KEY] = [SigningKey.create(), SigningKey.create()];

const closers: (() => void)[] = [];

/** Ends everything that was opened here. */
export function closeWeb(): void {
  for (const close of closers.splice(0)) close();
}

/** Security of one end that trusts the other alone. */
export function pinned(key: SigningKey, other: SigningKey): PinnedKeys {
  return { key, trusts: (fingerprint) => fingerprint === other.fingerprint };
}

function urlOf(server: Server): string {
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}${CHANNEL_PATH}`;
}

/** A listener, and the channels that came. */
export async function listening(
  deadlineMs = 300_000,
  security = pinned(SERVER_KEY, CLIENT_KEY),
  handshakeMs?: number,
): Promise<{ url: string; channels: Channel[]; first: Promise<Channel> }> {
  const server = createServer((_request, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const channels: Channel[] = [];
  let resolve: (channel: Channel) => void = () => {};
  const first = new Promise<Channel>((arrived) => {
    resolve = arrived;
  });
  const onChannel = (channel: Channel) => {
    channels.push(channel);
    resolve(channel);
  };
  const listener = listenWeb(server, onChannel, { peer: "client", deadlineMs, security, handshakeMs });
  closers.push(() => {
    listener.close();
    server.close();
  });
  return { url: urlOf(server), channels, first };
}

export function dial(url: string, security = pinned(CLIENT_KEY, SERVER_KEY), deadlineMs = 300_000): Promise<Channel> {
  return connectWeb(url, { peer: "server", deadlineMs, security });
}

export async function webPair(deadlineMs = 300_000): Promise<{ channels: [Channel, Channel] }> {
  const { url, first } = await listening(deadlineMs);
  return { channels: [await dial(url, undefined, deadlineMs), await first] };
}

export type Change = (message: Buffer, index: number, from: "opener" | "listener") => Buffer[];

/** Stands between both ends and hands every message on as `change` has it. */
export async function relay(url: string, change: Change): Promise<string> {
  const { WebSocket } = await import("ws");
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (near) => {
    const far = new WebSocket(url);
    const pass = (from: WebSocket, to: WebSocket, who: "opener" | "listener") => {
      let index = 0;
      const ready = new Promise<void>((resolve) => (to.readyState === 1 ? resolve() : to.once("open", resolve)));
      from.on("message", (data: Buffer) => {
        const changed = change(Buffer.from(data), index++, who);
        void ready.then(() => changed.map((message) => to.send(message)));
      });
      from.on("close", () => to.terminate());
      from.on("error", () => {});
    };
    pass(near, far, "opener");
    pass(far, near, "listener");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  return urlOf(server);
}

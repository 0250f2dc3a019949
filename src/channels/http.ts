/** HTTP servers whose peers nobody knows: bounded in time, in headers and in connections, for each source and for all. */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { sourceOf } from "./accounts.ts";
import { Arrivals } from "./arrivals.ts";

/** Whoever reads nothing for so long is let go. */
const SILENT_MS = 30_000;
/** Connections at once; those of one source. The oldest go first. */
const [MOST_SOCKETS, MOST_SOCKETS_EACH] = [2048, 256];
/** The same of those that have not asked anything yet, or nothing more. */
const [MOST_IDLE, MOST_IDLE_EACH] = [1024, 64];

const LIMITS: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
};
const MOST_HEADERS = 100;

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A server that answers with `handler`, over TLS where it has a certificate. WebSockets have bounds of their own from their upgrade on. */
export function boundedServer(handler: HttpHandler, certificate?: Certificate): Server {
  const server =
    certificate === undefined
      ? createServer(LIMITS, handler)
      : createTlsServer({ ...LIMITS, ...certificate, minVersion: "TLSv1.2", handshakeTimeout: 10_000 }, handler);
  server.setTimeout(SILENT_MS, (socket) => socket.destroy());
  server.maxConnections = MOST_SOCKETS;
  server.maxHeadersCount = MOST_HEADERS;
  boundSources(server);
  return server;
}

/** What one connection counts as; both are called again without harm. */
interface Counted {
  readonly begins: () => void;
  readonly ends: () => void;
  readonly gone: () => void;
}

function boundSources(server: Server): void {
  const all = new Arrivals(MOST_SOCKETS, MOST_SOCKETS_EACH);
  const idle = new Arrivals(MOST_IDLE, MOST_IDLE_EACH);
  // Under TLS a request has another socket than the one that came: both ends' port is what they share.
  const known = new Map<string, Counted>();
  const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  server.on("connection", (socket: Socket) => {
    const [name, source] = [nameOf(socket), sourceOf(socket.remoteAddress)];
    const cut = () => void socket.destroy();
    const leave = all.add(source, cut);
    let wake = idle.add(source, cut);
    known.set(name, {
      begins: () => wake(),
      ends: () => {
        wake();
        if (!socket.destroyed) wake = idle.add(source, cut);
      },
      gone: () => {
        wake();
        leave();
        known.delete(name);
      },
    });
    socket.once("close", () => known.get(name)?.gone());
  });
  server.on("request", ({ socket }, response) => {
    const counted = known.get(nameOf(socket));
    counted?.begins();
    response.once("close", () => counted?.ends());
  });
  server.on("upgrade", ({ socket }) => known.get(nameOf(socket))?.gone());
}

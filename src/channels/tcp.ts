import { X509Certificate } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import {
  connect as connectTls,
  createServer as createTlsServer,
  type SecureContextOptions,
  type TLSSocket,
} from "node:tls";
import { InternalError } from "../errors.ts";
import { accountOf, type Counted, sourceOf } from "./accounts.ts";
import { Arrivals } from "./arrivals.ts";
import { Channel, ChannelError, type ChannelOptions, type Identities } from "./channel.ts";
import { fingerprintOf, type Identity } from "./identity.ts";
import { portions } from "./portions.ts";
import { shaped } from "./shaped.ts";
import type { Wire } from "./wire.ts";

/** TLS 1.3 between parties that know each other by their keys' fingerprints. */
export interface Security extends Counted {
  readonly identity: Identity;
  /** Whether a peer of this fingerprint may go on. */
  readonly trusts: (fingerprint: string) => boolean;
}

/** What an end of a connection is given; `side` and keys come from how it was made. */
export interface TcpOptions extends Pick<ChannelOptions, "peer" | "deadlineMs" | "link"> {
  /** Absent: plain TCP, for loopback and tunnels. */
  readonly security?: Security;
  /** Of a machine with several addresses: the one to connect from. */
  readonly from?: string;
}

const EXPORTER = "EXPORTER-mpcformer-frames";
/** Whoever has not finished TLS's handshake by then is cut. */
const HANDSHAKE_MS = 10_000;
/** Handshakes in progress, of all and of one source: each costs some milliseconds, and what a half one holds. */
const [MOST_HANDSHAKES, MOST_HANDSHAKES_EACH] = [512, 32];
/** How long what was written may take to leave after a channel's end. */
const LINGER_MS = 5000;
/** Written at once: large enough to keep a fast network busy, small enough that a slow one shows progress. */
const PORTION = 4 << 20;

function channelOf(socket: Socket, options: ChannelOptions): Channel {
  let last: Promise<void> = Promise.resolve();
  const wire: Wire = {
    write(parts, progress) {
      // One frame behind the other: portions of two must not mix.
      const mine = last.then(async () => {
        for (const some of portions(parts, PORTION)) {
          await flushed(socket, some, options.peer);
          progress(some.reduce((sum, part) => sum + part.length, 0));
        }
      });
      last = mine.catch(() => {});
      return mine;
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    // What was written still leaves; then the connection ends.
    close: () => {
      void last.then(() => socket.end(() => socket.destroy()));
      // Also when the peer takes nothing any more.
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    },
  };
  const channel = new Channel(options.link === undefined ? wire : shaped(wire, options.link), options);
  socket.setNoDelay(true);
  socket.on("data", (chunk) => channel.feed(chunk));
  socket.on("close", () => channel.disconnected());
  socket.on("error", () => channel.disconnected());
  socket.on("end", () => channel.disconnected());
  return channel;
}

function flushed(socket: Socket, parts: readonly Uint8Array[], peer: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new ChannelError(`the ${peer} closed the connection`));
    if (socket.destroyed) return failed();
    socket.cork();
    for (const part of parts.slice(0, -1)) socket.write(part);
    socket.write(parts[parts.length - 1], (error) => (error ? failed() : resolve()));
    socket.uncork();
  });
}

/** The certificate is no authority's: the handshake proves that the peer holds its key, and the fingerprint says whose it is. */
function tlsOptions({ identity }: Security): SecureContextOptions & { rejectUnauthorized: false } {
  return {
    key: identity.secretKey(),
    cert: identity.certificate,
    minVersion: "TLSv1.3",
    rejectUnauthorized: false,
  };
}

/** What the handshake has proved. @throws ChannelError for a peer without a key. */
function proved(socket: TLSSocket, { identity }: Security, peer: string): { key: Uint8Array; identities: Identities } {
  const raw = socket.getPeerCertificate()?.raw;
  if (raw === undefined) throw new ChannelError(`the ${peer} shows no key`);
  const key = socket.exportKeyingMaterial(16, EXPORTER, Buffer.alloc(0));
  return { key, identities: { own: identity.fingerprint, peer: fingerprintOf(new X509Certificate(raw)) } };
}

/** @throws ChannelError when nobody listens there, does not answer in time, or is not whom one trusts. */
export function connectTcp(host: string, port: number, options: TcpOptions): Promise<Channel> {
  const { peer, security } = options;
  return new Promise((resolve, reject) => {
    const to = { host, port, localAddress: options.from };
    const socket = security === undefined ? connect(to) : connectTls({ ...to, ...tlsOptions(security) });
    const fail = (message: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new ChannelError(message));
    };
    const timer = setTimeout(
      () => fail(`the ${peer} at ${host}:${port} does not answer: is it running?`),
      options.deadlineMs,
    );
    let reached = false;
    socket.once("connect", () => {
      reached = true;
    });
    socket.once("error", () =>
      fail(
        reached
          ? `the ${peer} at ${host}:${port} does not speak TLS: were both started with keys?`
          : `no ${peer} listens at ${host}:${port}: start it, or give another address`,
      ),
    );
    socket.once(security === undefined ? "connect" : "secureConnect", () => {
      try {
        const keys = security === undefined ? null : proved(socket as TLSSocket, security, peer);
        if (keys !== null && !security!.trusts(keys.identities.peer))
          throw new ChannelError(
            `the ${peer} at ${host}:${port} has the key ${keys.identities.peer}, which is not the one expected: check with its owner`,
          );
        clearTimeout(timer);
        socket.removeAllListeners("error");
        resolve(channelOf(socket, { ...options, side: "opener", ...keys }));
      } catch (error) {
        fail(error instanceof Error ? error.message : "the connection failed");
      }
    });
  });
}

export interface TcpListener {
  readonly address: { readonly host: string; readonly port: number };
  /** No new connections; those that are there go on. */
  stop(): void;
  /** No new connections; those that are there are cut. */
  close(): Promise<void>;
}

/**
 * Listens; whoever is not trusted, or does not finish the handshake within the deadline, is cut.
 * @throws ChannelError when the address is taken or not this machine's.
 */
export function listenTcp(
  host: string,
  port: number,
  onChannel: (channel: Channel) => void,
  options: TcpOptions,
): Promise<TcpListener> {
  const { security } = options;
  return new Promise((resolve, reject) => {
    const sockets = new Set<Socket>();
    const arrived = (socket: Socket) => {
      try {
        const keys = security === undefined ? null : proved(socket as TLSSocket, security, options.peer);
        const account = accountOf(security ?? {}, keys?.identities.peer ?? "", socket.remoteAddress);
        const channel = channelOf(socket, { ...options, side: "listener", account, ...keys });
        if (keys === null || security!.trusts(keys.identities.peer)) onChannel(channel);
        else void channel.refuse(`the key ${keys.identities.peer} is not on the list here: ask the operator to add it`);
      } catch {
        socket.destroy();
      }
    };
    const server =
      security === undefined
        ? createServer(arrived)
        : createTlsServer(
            {
              ...tlsOptions(security),
              requestCert: true,
              handshakeTimeout: Math.min(options.deadlineMs, HANDSHAKE_MS),
            },
            arrived,
          );
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    if (security !== undefined) boundHandshakes(server);
    server.on("tlsClientError", (_error, socket: TLSSocket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "another program has the port" : "the address is not usable";
      reject(new ChannelError(`cannot listen at ${host}:${port}: ${why}; give another with --listen`));
    });
    server.listen(port, host, () => {
      const stop = () => void server.close();
      const close = () =>
        new Promise<void>((closed) => {
          for (const socket of sockets) socket.destroy();
          if (!server.listening) return closed();
          server.close(() => closed());
        });
      resolve({ address: { host, port: portOf(server) }, stop, close });
    });
  });
}

function boundHandshakes(server: Server): void {
  const arrivals = new Arrivals(MOST_HANDSHAKES, MOST_HANDSHAKES_EACH);
  // A handshake ends with another socket than it began with: the peer's address and port are what they share.
  const waiting = new Map<string, () => void>();
  const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`;
  const over = (name: string) => {
    waiting.get(name)?.();
    waiting.delete(name);
  };
  server.on("connection", (socket: Socket) => {
    const name = nameOf(socket);
    waiting.set(
      name,
      arrivals.add(sourceOf(socket.remoteAddress), () => socket.destroy()),
    );
    socket.once("close", () => over(name));
  });
  server.on("secureConnection", (socket: TLSSocket) => over(nameOf(socket)));
}

/** The port that a listening server has: the system's choice where 0 was asked for. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address !== "object") throw new InternalError("the server does not listen at a port");
  return address.port;
}

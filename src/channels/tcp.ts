import { connect, createServer, type Socket } from "node:net";
import { Channel, ChannelError, type ChannelOptions, type Wire } from "./channel.ts";
import { shaped } from "./shaped.ts";

function channelOf(socket: Socket, options: ChannelOptions): Channel {
  const wire: Wire = {
    write(parts) {
      return new Promise((resolve, reject) => {
        const failed = () => reject(new ChannelError(`the ${options.peer} closed the connection`));
        if (socket.destroyed) return failed();
        socket.cork();
        for (const part of parts.slice(0, -1)) socket.write(part);
        socket.write(parts[parts.length - 1], (error) => (error ? failed() : resolve()));
        socket.uncork();
      });
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    // What was written still leaves; then the connection ends.
    close: () => socket.end(() => socket.destroy()),
  };
  const channel = new Channel(options.link === undefined ? wire : shaped(wire, options.link), options);
  socket.setNoDelay(true);
  socket.on("data", (chunk) => channel.feed(chunk));
  socket.on("close", () => channel.disconnected());
  socket.on("error", () => channel.disconnected());
  socket.on("end", () => channel.disconnected());
  return channel;
}

/** @throws ChannelError when nobody listens there, or does not answer in time. */
export function connectTcp(host: string, port: number, options: ChannelOptions): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new ChannelError(`the ${options.peer} at ${host}:${port} does not answer: is it running?`));
    }, options.deadlineMs);
    socket.once("error", () => {
      clearTimeout(timer);
      reject(new ChannelError(`no ${options.peer} listens at ${host}:${port}: start it, or give another address`));
    });
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(channelOf(socket, options));
    });
  });
}

export interface TcpListener {
  readonly address: { readonly host: string; readonly port: number };
  /** No new connections; those that are there are cut. */
  close(): Promise<void>;
}

/** @throws ChannelError when the address is taken or not this machine's. */
export function listenTcp(
  host: string,
  port: number,
  onChannel: (channel: Channel) => void,
  options: ChannelOptions,
): Promise<TcpListener> {
  return new Promise((resolve, reject) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      onChannel(channelOf(socket, options));
    });
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "another program has the port" : "the address is not usable";
      reject(new ChannelError(`cannot listen at ${host}:${port}: ${why}; give another with --listen`));
    });
    server.listen(port, host, () => {
      const bound = server.address();
      const actual = bound !== null && typeof bound === "object" ? bound.port : port;
      const close = () =>
        new Promise<void>((closed) => {
          for (const socket of sockets) socket.destroy();
          server.close(() => closed());
        });
      resolve({ address: { host, port: actual }, close });
    });
  });
}

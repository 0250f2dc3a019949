/** Half-open connections: TLS handshakes, HTTP requests, upgrades; how many there may be, and whom one too many ends. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Arrivals } from "../../src/channels/arrivals.ts";
import type { Channel } from "../../src/channels/channel.ts";
import { boundedServer } from "../../src/channels/http.ts";
import { Identity } from "../../src/channels/identity.ts";
import { connectTcp, listenTcp } from "../../src/channels/tcp.ts";
import { closeWeb, dial, listening } from "./web.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
  closeWeb();
});

describe("arrivals", () => {
  it("end the oldest of a source that has too many, and of the source that has most where all are too many", () => {
    const arrivals = new Arrivals(5, 3);
    const cut: string[] = [];
    const add = (source: string, name: string) => arrivals.add(source, () => cut.push(name));
    for (const name of ["a1", "a2", "a3"]) add("a", name);
    const through = add("b", "b1");
    add("a", "a4");
    expect(cut).toEqual(["a1"]);
    add("c", "c1");
    add("d", "d1");
    expect(cut).toEqual(["a1", "a2"]);
    through();
    through(); // Twice is once.
    add("b", "b2");
    expect(cut).toEqual(["a1", "a2"]);
    expect(arrivals.count).toBe(5);
  });
});

/** Connections that send `bytes` and then nothing; those that were cut leave the set. */
async function half(port: number, count: number, bytes: string): Promise<Set<Socket>> {
  const open = new Set<Socket>();
  for (let i = 0; i < count; i++) {
    const socket = connect({ port, host: "127.0.0.1" });
    closers.push(() => socket.destroy());
    socket.on("error", () => {}).on("close", () => open.delete(socket));
    await once(socket, "connect");
    open.add(socket);
    socket.write(bytes);
  }
  return open;
}

describe("a listener", () => {
  it("over TLS lets somebody in between any number of half handshakes, from the same address too", async () => {
    const [own, other] = [Identity.create(), Identity.create()];
    let arrived: (channel: Channel) => void = () => {};
    const first = new Promise<Channel>((resolve) => {
      arrived = resolve;
    });
    const listener = await listenTcp("127.0.0.1", 0, (channel) => arrived(channel), {
      peer: "client",
      deadlineMs: 60_000,
      security: { identity: own, trusts: () => true },
    });
    closers.push(() => void listener.close());
    const { port } = listener.address;
    const open = await half(port, 100, "\x16\x03\x01");
    await expect.poll(() => open.size).toBeLessThanOrEqual(32);
    const security = { identity: other, trusts: (key: string) => key === own.fingerprint };
    const channel = await connectTcp("127.0.0.1", port, { peer: "server", deadlineMs: 60_000, security });
    await channel.sendJson(0, "hello");
    expect(await (await first).receiveJson(0)).toBe("hello");
    channel.close();
  });

  it("for browsers lets somebody in between any number of half requests and unproven channels", async () => {
    const { url, first } = await listening(60_000);
    const port = Number(new URL(url).port);
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    const upgrade = `GET /mpc HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`;
    const open = await half(port, 100, upgrade);
    // What was answered is read, so that the end is seen.
    for (const socket of open) socket.resume();
    await expect.poll(() => open.size).toBeLessThanOrEqual(32);
    const channel = await dial(url, undefined, 60_000);
    await channel.sendJson(0, "hello");
    expect(await (await first).receiveJson(0)).toBe("hello");
  });

  it("for browsers refuses another site's page, before any handshake", async () => {
    const { url } = await listening();
    const { WebSocket } = await import("ws");
    const status = (options: object) =>
      new Promise<number | undefined>((resolve) => {
        const socket = new WebSocket(url, options);
        socket.on("error", () => {}).on("open", () => resolve(101));
        socket.on("unexpected-response", (request, response) => {
          resolve(response.statusCode);
          request.destroy();
        });
        closers.push(() => socket.terminate());
      });
    expect(await status({ origin: "https://attacker.example" })).toBe(403);
    expect(await status({ origin: "null" })).toBe(403);
    expect(await status({ headers: { host: "rebound.attacker.example" } })).toBe(403);
    expect(await status({ origin: "http://localhost:1234" })).toBe(101);
    expect(await status({})).toBe(101);
  });
});

describe("an HTTP server", () => {
  it.each([
    ["a half request", "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: "],
    ["nothing", ""],
    ["a request without its body", "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n"],
    ["a request, and reads nothing", "GET /long HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"],
  ])("answers while hundreds of connections send %s, from the same address too", async (_name, bytes) => {
    const long = Buffer.alloc(1 << 22);
    const server = boundedServer((request, response) => void response.end(request.url === "/long" ? long : "well\n"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    await half(port, 300, bytes);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe("well\n");
    const count = () => new Promise<number>((resolve) => server.getConnections((_error, found) => resolve(found)));
    await expect.poll(count).toBeLessThanOrEqual(256);
  });

  it("refuses headers without end", async () => {
    const server = boundedServer((_request, response) => void response.end("well\n"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: "127.0.0.1" });
    closers.push(() => socket.destroy());
    socket.on("error", () => {});
    const closed = once(socket, "close");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.write(`GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${"y".repeat(20_000)}`);
    await closed;
    expect(answer).toMatch(/^HTTP\/1.1 431/);
  });
});

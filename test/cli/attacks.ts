/**
 * Attacks on services that run as processes of their own, from another address or with another key than the honest client's. Each goes on
 * until it is stopped, and tries again where it was refused or cut.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectSocket, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import type { Channel } from "../../src/channels/channel.ts";
import { Identity } from "../../src/channels/identity.ts";
import { connectTcp } from "../../src/channels/tcp.ts";
import { madeIn } from "../../src/cli/keys.ts";
import { compile } from "../../src/compiler/compile.ts";
import { Client } from "../../src/parties/client.ts";
import { greet } from "../../src/parties/greeting.ts";
import { fingerprint, PROTOCOL_VERSION, type PublicModel } from "../../src/parties/messages.ts";
import { sessionId } from "../../src/parties/session.ts";
import { oneTurn } from "../../src/program/steps.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { type Started, start } from "./started.ts";

/** Where attackers come from: all of 127.0.0.0/8 is this machine. */
const ELSEWHERE = "127.0.0.2";
const DEADLINE_MS = 300_000;
/** Between an attempt's end and the next: attackers are not to take the machine that they share with whom they attack. */
const PAUSE_MS = 50;
export const TEXT = "a gripping, funny and beautifully acted film";

/** A dealer, a server for whoever has a key, and one for listed keys. */
export interface Target {
  readonly dealer: Started;
  readonly open: Started;
  readonly listed: Started;
  readonly keys: Readonly<Record<"dealer" | "server", string>>;
  /** A listed key that behaves, and one that does not. */
  readonly honest: Identity;
  readonly greedy: Identity;
  close(): Promise<void>;
}

export async function target(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "attacks-"));
  const at = (name: string) => join(folder, name);
  const [honest, greedy] = [Identity.create(), Identity.create()];
  const keys = { dealer: await madeIn(at("dealer")), server: await madeIn(at("server")) };
  await writeFile(at("peers"), `${honest.fingerprint}\n${greedy.fingerprint}\n`);
  const listen = ["--listen", "127.0.0.1:0", "--web", "127.0.0.1:0", "--health", "127.0.0.1:0"];
  const dealer = await start(["deal", "--key", at("dealer"), ...listen]);
  const more = ["--dealer", dealer.address, "--dealer-key", keys.dealer, "--warm", "16"];
  const serve = ["serve", "demo", "--key", at("server"), ...listen, ...more];
  const [open, listed] = await Promise.all([start(serve), start([...serve, "--peers", at("peers")])]);
  const close = async () => {
    await Promise.all([dealer, open, listed].map((one) => one.ended("SIGKILL")));
    await rm(folder, { recursive: true, force: true });
  };
  return { dealer, open, listed, keys, honest, greedy, close };
}

/** A channel to a party, as whoever has this key, from this address. */
function dial(one: Started, key: string, identity: Identity, from?: string): Promise<Channel> {
  const [host, port] = one.address.split(":");
  const security = { identity, trusts: (found: string) => found === key };
  return connectTcp(host, Number(port), { peer: "server", deadlineMs: DEADLINE_MS, security, from });
}

/** The honest client's connection to a server. */
export async function honestClient({ dealer, keys, honest }: Target, server: Started): Promise<Client> {
  return Client.connect(await Ring.create(), await dial(server, keys.server, honest), {
    connectDealer: () => dial(dealer, keys.dealer, honest),
  });
}

/** Bytes of a process's memory that are in the machine's. */
export function residentBytes({ pid }: Started): number {
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))![1]);
}

export interface Attack {
  readonly name: string;
  /** Which server the honest client asks meanwhile. */
  readonly server: "open" | "listed";
  /** Begins: resolves when it is under way; the result ends it. */
  readonly begin: (target: Target) => Promise<() => Promise<void>>;
}

/** Does `once` over and over in so many places, until it is stopped; resolves when each has been in the middle of it. */
async function everywhere(
  places: number,
  once: (under: () => void, stopped: Promise<void>) => Promise<void>,
): Promise<() => Promise<void>> {
  let over = false;
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const begun: Promise<void>[] = [];
  const loops = Array.from({ length: places }, async () => {
    let under = () => {};
    begun.push(
      new Promise<void>((resolve) => {
        under = resolve;
      }),
    );
    while (!over) {
      // What ends one attempt, a refusal or a cut, begins the next.
      await once(under, stopped).catch(() => under());
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  });
  await Promise.all(begun);
  return async () => {
    over = true;
    stop();
    await Promise.all(loops);
  };
}

/** A socket from elsewhere that writes some bytes now, and one of `trickle` every so often; until it is cut or stopped. */
async function halfOpen(address: string, bytes: string, under: () => void, stopped: Promise<void>, trickle?: string) {
  const [host, port] = address.split(":");
  const socket: Socket = connectSocket({ host, port: Number(port), localAddress: ELSEWHERE });
  const timer = trickle === undefined ? undefined : setInterval(() => socket.write(trickle), 100);
  await new Promise<void>((resolve) => {
    socket.on("close", () => resolve()).on("error", () => resolve());
    socket.on("connect", () => {
      socket.write(bytes);
      under();
    });
    void stopped.then(() => socket.destroy());
  });
  clearInterval(timer);
  under();
}

const REQUEST = "GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ";
const UPGRADE = [
  "GET /mpc HTTP/1.1",
  "host: 127.0.0.1",
  "connection: upgrade",
  "upgrade: websocket",
  "sec-websocket-version: 13",
  "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
  "\r\n",
].join("\r\n");

/** A key that is nobody's: to make one costs the attacker more than the service, and here both share a machine. */
const STRANGER = Identity.create();

/** Says hello as a stranger from elsewhere, who computes nothing of what he gets but the model. */
async function stranger(target: Target): Promise<{ channel: Channel; model: PublicModel }> {
  const channel = await dial(target.open, target.keys.server, STRANGER, ELSEWHERE);
  await channel.sendJson(0, { version: PROTOCOL_VERSION });
  const { model } = (await channel.receiveJson(0, 2 ** 25)) as { model: PublicModel };
  return { channel, model };
}

function sessionRequest(program: string, shape: object) {
  return { request: "session", shape, program, prepare: false, whole: true, nonce: hex(randomKey()) };
}

/** Both sides of one session to the dealer, for a model of the sender's making. */
async function dealtFor(target: Target, model: PublicModel, shape: object): Promise<void> {
  const self = STRANGER;
  const [client, server] = [
    await dial(target.dealer, target.keys.dealer, self, ELSEWHERE),
    await dial(target.dealer, target.keys.dealer, self, ELSEWHERE),
  ];
  const session = {
    version: PROTOCOL_VERSION,
    model: model.id,
    program: "0".repeat(64),
    clientNonce: hex(randomKey()),
    serverNonce: hex(randomKey()),
    client: self.fingerprint,
    server: self.fingerprint,
    dealer: target.keys.dealer,
  };
  await sessionId(session);
  const seed = hex(randomKey());
  try {
    await client.sendJson(0, { role: "client", session, seed });
    await server.sendJson(0, { role: "server", session, shape, seed, model });
    await Promise.race([client.receiveJson(0), server.receiveJson(0)]);
  } finally {
    client.close();
    server.close();
  }
}

export const ATTACKS: readonly Attack[] = [
  {
    name: "32 idle sessions of one listed key",
    server: "listed",
    begin: async (target) => {
      const one = () => dial(target.listed, target.keys.server, target.greedy);
      const known = await one();
      const { model } = await greet(known);
      known.close();
      const program = await fingerprint(compile(model.spec, model.plan, oneTurn(16)));
      return everywhere(32, async (under, stopped) => {
        const channel = await one();
        try {
          await channel.sendJson(0, { version: PROTOCOL_VERSION });
          await channel.receiveJson(0, 2 ** 25);
          await channel.sendJson(0, sessionRequest(program, oneTurn(16)));
          await channel.receiveJson(0);
          under();
          const gone = new Promise<void>((resolve) => channel.watch(() => resolve()));
          await Promise.race([gone, stopped]);
        } finally {
          channel.close();
        }
      });
    },
  },
  {
    name: "requests of strangers for as many tokens as can be written",
    server: "open",
    begin: (target) =>
      everywhere(4, async (under) => {
        const { channel } = await stranger(target);
        try {
          const [length, turns] = [[8, 16, 512, 4096][Math.floor(Math.random() * 4)], 1024];
          await channel.sendJson(0, sessionRequest("0".repeat(64), { ...oneTurn(length), turns, scoring: true }));
          under();
          await channel.receiveJson(0);
        } finally {
          channel.close();
        }
      }),
  },
  {
    name: "messages of 250 kB to the dealer, for models of 500 layers",
    server: "open",
    begin: async (target) => {
      const { channel, model } = await stranger(target);
      channel.close();
      const ranges: Record<string, [number, number]> = {};
      for (let i = 0; i < 18_000; i++) ranges[`${i}.out`] = [-8, 8];
      const huge = {
        ...model,
        spec: { ...model.spec, layers: 500 },
        plan: { ...model.plan, ranges: { ...model.plan.ranges, ...ranges } },
      };
      if (JSON.stringify(huge).length < 250_000) throw new Error("the message is small");
      return everywhere(4, async (under) => {
        under();
        await dealtFor(target, huge, oneTurn(512));
      });
    },
  },
  {
    name: "half TLS handshakes",
    server: "open",
    begin: (target) =>
      everywhere(100, (under, stopped) => {
        const party = Math.random() < 0.5 ? target.open : target.dealer;
        return halfOpen(party.address, "\x16\x03\x01\x02\x00\x01", under, stopped);
      }),
  },
  {
    name: "half requests on the health port and the page's",
    server: "open",
    begin: (target) =>
      everywhere(200, (under, stopped) => {
        const { web, health } = target.open;
        if (Math.random() < 0.5) return halfOpen(health, REQUEST, under, stopped, "y");
        return halfOpen(web, Math.random() < 0.5 ? REQUEST : UPGRADE, under, stopped);
      }),
  },
  {
    name: "slow writers and slow readers",
    server: "open",
    begin: (target) =>
      everywhere(32, async (under, stopped) => {
        const channel = await dial(target.open, target.keys.server, STRANGER, ELSEWHERE);
        try {
          // Takes the greeting not at all, or asks what it never goes on with.
          await channel.sendJson(0, { version: PROTOCOL_VERSION });
          under();
          await stopped;
        } finally {
          channel.close();
        }
      }),
  },
  {
    name: "a flood of hellos",
    server: "open",
    begin: (target) =>
      everywhere(4, async (under) => {
        const { channel } = await stranger(target);
        under();
        channel.close();
      }),
  },
  {
    name: "a flood of WebSockets",
    server: "open",
    begin: (target) =>
      everywhere(64, async (under, stopped) => {
        const socket = new WebSocket(`ws://${target.open.web}/mpc`, { localAddress: ELSEWHERE });
        await new Promise<void>((resolve) => {
          socket.on("open", () => {
            under();
            socket.send(Buffer.alloc(32));
          });
          socket.on("close", () => resolve()).on("error", () => resolve());
          void stopped.then(() => socket.terminate());
        });
      }),
  },
];

/** All three services over TCP in this process, around one random model: what the tests of services share. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Channel } from "../../src/channels/channel.ts";
import { connectTcp, listenTcp, type TcpListener } from "../../src/channels/tcp.ts";
import { calibrate } from "../../src/compiler/calibrate.ts";
import { randomText, randomWeights } from "../../src/models/catalog.ts";
import { logitsOf } from "../../src/models/model.ts";
import type { TokenizerFiles } from "../../src/models/tokenizer.ts";
import { Client } from "../../src/parties/client.ts";
import { type DealerOptions, DealerService } from "../../src/parties/dealer.ts";
import { HelperService } from "../../src/parties/helper.ts";
import { PROTOCOL_VERSION } from "../../src/parties/messages.ts";
import { publicModel } from "../../src/parties/model-identity.ts";
import { type ServerOptions, ServerService } from "../../src/parties/server.ts";
import { ThinClient } from "../../src/parties/thin.ts";
import type { Plan } from "../../src/program/plan.ts";
import type { ModelSpec } from "../../src/program/spec.ts";
import { FloatOps } from "../../src/reference/float.ts";
import { hex } from "../../src/ring/hex.ts";
import { randomKey } from "../../src/ring/prg.ts";
import { Ring } from "../../src/ring/ring.ts";
import { Secret } from "../../src/ring/secret.ts";
import { FileStore } from "../../src/stores/file-store.ts";
import { TINY } from "./harness.ts";

/** The three connections of a session. */
export type LinkName = "client to server" | "client to dealer" | "server to dealer";

export interface WorldOptions {
  readonly spec?: Partial<ModelSpec>;
  readonly modelId?: string;
  /** The files of the server's tokenizer; without any it takes ids alone. */
  readonly tokenizer?: TokenizerFiles;
  readonly serving?: Partial<ServerOptions>;
  readonly dealing?: DealerOptions;
  readonly deadlineMs?: number;
  /** Changes the plan that calibration gave. */
  readonly change?: (plan: Plan) => Plan;
  /** Puts something between: gets a port, gives another that leads to it. */
  readonly through?: (link: LinkName, port: number) => Promise<number>;
}

export class World {
  readonly listeners: TcpListener[] = [];
  /** What ended the services' sessions. */
  readonly failures: string[] = [];
  /** Of the stores: "server" and "client" in it. */
  readonly dir: string;
  private readonly deadlineMs: number;
  private watch: (channel: Channel) => void = () => {};

  private constructor(dir: string, deadlineMs: number) {
    this.dir = dir;
    this.deadlineMs = deadlineMs;
  }

  static async create(deadlineMs = 300_000): Promise<World> {
    return new World(await mkdtemp(join(tmpdir(), "services-")), deadlineMs);
  }

  async close(): Promise<void> {
    for (const listener of this.listeners.splice(0)) await listener.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** Shows every channel that a service gets from now on to `watch`, until the function that it returns is called. */
  watching(watch: (channel: Channel) => void): () => void {
    this.watch = watch;
    return () => {
      this.watch = () => {};
    };
  }

  /** `from`: another address of this machine, which services count apart. */
  dial(port: number, peer: string, from?: string): Promise<Channel> {
    return connectTcp("127.0.0.1", port, { deadlineMs: this.deadlineMs, peer, from });
  }

  /** A raw connection to a server that expects its client's word. */
  async greeted(port: number, from?: string): Promise<Channel> {
    const channel = await this.dial(port, "server", from);
    await channel.sendJson(0, { version: PROTOCOL_VERSION });
    return channel;
  }

  /** A dealer, a server with a random model, and a way to connect clients. */
  async services({
    spec: overrides,
    modelId = hex(randomKey()),
    tokenizer = {},
    serving,
    dealing,
    through,
    change = (plan) => plan,
  }: WorldOptions = {}) {
    const spec = { ...TINY, ...overrides };
    const weights = randomWeights(spec, 5);
    const texts = Array.from({ length: 10 }, (_, i) => randomText(spec, 4 + i, i));
    const plan = change(calibrate(spec, weights, texts));
    const dealer = new DealerService(await Ring.create(), dealing);
    const dealerPort = await this.listen((c) => dealer.serve(c), "peer");
    const ring = await Ring.create();
    const store = new FileStore(join(this.dir, "server"));
    const via = async (link: LinkName, port: number) => (through === undefined ? port : through(link, port));
    const server = new ServerService(
      ring,
      {
        model: await publicModel({ spec, plan, tokenizer, commitment: modelId }, weights),
        modelKey: new Secret(randomKey()),
        weights: async () => weights,
        tokenizer,
      },
      { connectDealer: async () => this.dial(await via("server to dealer", dealerPort), "dealer"), store, ...serving },
    );
    const serverPort = await this.listen((c) => server.serve(c), "client");
    const clientRing = await Ring.create();
    const connect = async (withStore = false, onFlight: (flight: number) => void = () => {}, pinned?: string) =>
      Client.connect(clientRing, await this.dial(await via("client to server", serverPort), "server"), {
        connectDealer: async () => this.dial(await via("client to dealer", dealerPort), "dealer"),
        store: withStore ? new FileStore(join(this.dir, "client")) : undefined,
        progress: (phase, done) => phase === "online" && onFlight(done),
        model: pinned,
      });
    const float = (text: { ids: readonly number[]; types: readonly number[] }, length: number) => [
      ...logitsOf(new FloatOps(weights, text, length), spec).data,
    ];
    return { spec, plan, connect, float, ring, clientRing, server, dealer, serverPort, dealerPort };
  }

  /** A helper to a server and a dealer of this world, and thin clients of both. */
  async helper({ serverPort, dealerPort }: { readonly serverPort: number; readonly dealerPort: number }) {
    const [ring, helperRing] = [await Ring.create(), await Ring.create()];
    const helper = new HelperService(helperRing, {
      connectServer: () => this.dial(serverPort, "server"),
      connectDealer: () => this.dial(dealerPort, "dealer"),
    });
    const port = await this.listen((c) => helper.serve(c), "client");
    const connect = async () => {
      return ThinClient.connect(ring, await this.dial(serverPort, "server"), () => this.dial(port, "helper"));
    };
    return { ring, helperRing, helper, port, connect };
  }

  private async listen(serve: (channel: Channel) => Promise<void>, peer: string): Promise<number> {
    const serving = (channel: Channel) => {
      this.watch(channel);
      serve(channel).catch((error: Error) => this.failures.push(error.message));
    };
    const listener = await listenTcp("127.0.0.1", 0, serving, { deadlineMs: this.deadlineMs, peer });
    this.listeners.push(listener);
    return listener.address.port;
  }
}

/** Dealer, servers and pages as processes of their own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { madeIn } from "../../src/cli/keys.ts";
import { MAIN } from "../cli/started.ts";

const OWN = ["--listen", "127.0.0.1:0"];

export interface Party {
  /** host:port for TCP, and for browsers. */
  readonly tcp: string;
  readonly web: string;
  readonly key: string;
}

interface Line {
  readonly listening?: { readonly host: string; readonly port: number };
  readonly web?: { readonly host: string; readonly port: number };
  readonly page?: string;
}

/** All processes of one test file. */
export class World {
  /** Goes with them. */
  readonly folder: string;
  private readonly children: ChildProcess[] = [];
  private count = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<World> {
    return new World(await mkdtemp(join(tmpdir(), "mpcformer-page-")));
  }

  dealer(): Promise<Party> {
    return this.party(["deal"]);
  }

  /** A server that has the page as well. */
  server(model: string, dealer: Party, ...more: readonly string[]): Promise<Party> {
    const dealers = ["--dealer", dealer.tcp, "--dealer-key", dealer.key, "--dealer-web", `ws://${dealer.web}/mpc`];
    return this.party(["serve", model, ...dealers, ...more]);
  }

  /** Somebody who computes for clients of these two. */
  helper(server: Party, dealer: Party): Promise<Party> {
    const of = (name: string, { tcp, key }: Party) => [`--${name}`, tcp, `--${name}-key`, key];
    return this.party(["helper", ...of("server", server), ...of("dealer", dealer)]);
  }

  /** A page that trusts these. */
  async page(
    server: Pick<Party, "web" | "key">,
    dealer: Pick<Party, "web" | "key">,
    helper?: Pick<Party, "web" | "key">,
    ...more: readonly string[]
  ): Promise<string> {
    const of = (name: string, { web, key }: Pick<Party, "web" | "key">) => [
      `--${name}`,
      `ws://${web}`,
      `--${name}-key`,
      key,
    ];
    const named = [...of("server", server), ...of("dealer", dealer), ...(helper ? of("helper", helper) : [])];
    return (await this.start(["web", ...named, ...more])).page!;
  }

  /** What `mpcformer infer` answers at the same server. */
  async infer(text: string, server: Party, dealer: Party): Promise<{ label: string; scores: number[] }> {
    const key = this.place();
    await madeIn(key);
    const peers = [
      "--server",
      server.tcp,
      "--server-key",
      server.key,
      "--dealer",
      dealer.tcp,
      "--dealer-key",
      dealer.key,
    ];
    const args = [MAIN, "infer", text, "--json", "--key", key, ...peers];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return JSON.parse(stdout) as { label: string; scores: number[] };
  }

  async end(): Promise<void> {
    await Promise.all(
      this.children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exit = once(child, "exit");
        child.kill("SIGKILL");
        await exit;
      }),
    );
    await rm(this.folder, { recursive: true, force: true });
  }

  private place(): string {
    return join(this.folder, String(this.count++));
  }

  private async party(args: readonly string[]): Promise<Party> {
    const place = this.place();
    const key = await madeIn(place);
    const { listening, web } = await this.start([...args, "--key", place, "--web", "127.0.0.1:0"]);
    return { tcp: `${listening!.host}:${listening!.port}`, web: `${web!.host}:${web!.port}`, key };
  }

  private async start(args: readonly string[]): Promise<Line> {
    const child = spawn(process.execPath, [MAIN, ...args, ...OWN, "--json"], { stdio: ["ignore", "pipe", "inherit"] });
    this.children.push(child);
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    return JSON.parse(line) as Line;
  }
}

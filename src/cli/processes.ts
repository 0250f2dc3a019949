/** Server and dealer as processes of their own on this machine, for the commands that need all three parties. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Measured } from "../parties/meter.ts";
import { type Address, shownAddress } from "./address.ts";
import { failureFrom } from "./failure.ts";
import { note, warn } from "./terminal.ts";

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

/** Starts a command of this program that ends when this process does, however that ends. */
function startAttached(args: readonly string[]): ChildProcess {
  // Whom it asks is said in its arguments, whatever profile this command's user has.
  const { MPCFORMER_SERVICE: _ours, ...env } = process.env;
  const command = [MAIN, "--attached", ...args, "--json"];
  return spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe", "ipc"], env });
}

/** The other side of it, for a process that was started so: the channel between the two closes when either is gone. */
export function endWithParent(): void {
  process.once("disconnect", () => process.exit(1));
  // Whoever listens to the channel lives as long as it does: a command must end when its work does.
  process.channel?.unref();
  // Its parent may be gone already.
  if (!process.connected) process.exit(1);
}

type Told = (measured: Measured) => void;

export interface Running {
  readonly address: string;
  /** Where it listens for browsers; empty if it does not. */
  readonly web: string;
  /** What it measured of the phases so far; it reports a phase once it has answered. */
  readonly measured: readonly Measured[];
  stop(): void;
}

/**
 * Starts `mpcformer …args --json` and waits until it says where it listens. The process ends with this one; `told` hears of
 * each phase once it is over.
 * @throws the process's own failure when it ends before it listens.
 */
export async function start(args: readonly string[], told: Told = () => {}): Promise<Running> {
  const child = startAttached(args);
  const stop = () => child.kill("SIGTERM");
  process.once("exit", stop);
  const measured: Measured[] = [];
  const take = (one: Measured) => {
    measured.push(one);
    told(one);
  };
  return {
    ...(await listening(child, take)),
    measured,
    stop: () => {
      process.removeListener("exit", stop);
      stop();
    },
  };
}

function listening(child: ChildProcess, take: Told): Promise<Pick<Running, "address" | "web">> {
  return new Promise((resolve, reject) => {
    let last = "";
    createInterface({ input: child.stderr! }).on("line", (line) => {
      last = line;
    });
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const message = JSON.parse(line) as { listening?: Address; web?: Address; measured?: Measured };
      if (message.measured) take(message.measured);
      const { listening: at, web } = message;
      if (at) resolve({ address: shownAddress(at), web: web === undefined ? "" : shownAddress(web) });
    });
    child.on("error", reject);
    child.on("close", () => reject(failureFrom(last, "a party could not be started")));
  });
}

/** A command's own parties wait for each other however busy the machine is: none of them is a stranger. */
const OWN_DEADLINE_SECONDS = 3600;

export interface Parties {
  readonly server: string;
  readonly dealer: string;
  /** What their client waits as well. */
  readonly deadline: number;
  readonly measured: { readonly server: readonly Measured[]; readonly dealer: readonly Measured[] };
  stop(): void;
}

interface PartiesOptions {
  /** Of each party; 1 unless told. */
  readonly threads?: number;
  /** What both are told beside. */
  readonly both?: readonly string[];
  /** Hears of the server's phases. */
  readonly told?: Told;
}

/** A dealer, and a server that deals with it. */
export async function startParties(
  serveArgs: readonly string[],
  { threads = 1, both = [], told }: PartiesOptions = {},
): Promise<Parties> {
  const deadline = OWN_DEADLINE_SECONDS;
  const own = ["--listen", "127.0.0.1:0", "--threads", String(threads), "--deadline", String(deadline), ...both];
  const dealer = await start(["deal", ...own]);
  try {
    // Their client is this process, or one that it starts.
    const checks = serveArgs.includes("--verify") ? [] : ["--verify", "none"];
    const server = await start(["serve", ...serveArgs, ...checks, ...own, "--dealer", dealer.address], told);
    return {
      server: server.address,
      dealer: dealer.address,
      deadline,
      measured: { server: server.measured, dealer: dealer.measured },
      stop: () => {
        server.stop();
        dealer.stop();
      },
    };
  } catch (error) {
    dealer.stop();
    throw error;
  }
}

/**
 * Runs one command of this program to its end and returns its JSON; `shown` passes on what it says of its progress.
 * @throws its own failure.
 */
export async function runJson(args: readonly string[], shown = false): Promise<unknown> {
  const child = startAttached(args);
  let [out, last] = ["", ""];
  child.stdout!.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  createInterface({ input: child.stderr! }).on("line", (line) => {
    // What was not the last line is no error.
    if (shown && last !== "") passOn(last);
    last = line;
  });
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  if (code !== 0) throw failureFrom(last, "a party failed");
  return JSON.parse(out);
}

/** A line of a process that was started, as this one's own. */
function passOn(line: string): void {
  const warning = /^\{"warning":/.test(line) ? (JSON.parse(line) as { warning: string }).warning : null;
  if (warning === null) note(line);
  else warn(warning);
}

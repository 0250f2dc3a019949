/** Services as processes of their own, for tests of the built program. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Started {
  readonly address: string;
  readonly health: string;
  /** For browsers. */
  readonly web: string;
  readonly pid: number;
  running(): boolean;
  /** What it has written to stderr. */
  log(): string;
  /** Once it has written this to stderr. */
  logged(pattern: RegExp): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  ended(signal: NodeJS.Signals): Promise<[number | null]>;
}

/** A service as a process of its own, once it listens; `limit` is said to its shell first. */
export async function start(args: readonly string[], limit?: string): Promise<Started> {
  const command = [process.execPath, MAIN, ...args, "--json"];
  const [file, ...rest] = limit === undefined ? command : ["bash", "-c", `${limit}; exec "$@"`, "bash", ...command];
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { listening, health, web } = JSON.parse(line) as Record<string, { host: string; port: number } | undefined>;
  return {
    address: `${listening?.host}:${listening?.port}`,
    health: `${health?.host}:${health?.port}`,
    web: `${web?.host}:${web?.port}`,
    pid: child.pid!,
    running: () => child.exitCode === null && child.signalCode === null,
    log: () => log,
    logged: async (pattern) => {
      while (!pattern.test(log)) await once(child.stderr, "data");
    },
    signal: (signal) => child.kill(signal),
    ended: async (signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return [child.exitCode];
      child.kill(signal);
      return (await once(child, "exit")) as [number | null];
    },
  };
}

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A command with pipes, to its end. */
export async function piped(args: readonly string[], limitMs = 900_000): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], timeout: limitMs });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    err += chunk.toString();
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

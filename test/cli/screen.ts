/** A command on a terminal, and what stands on its screen in the end. */
import { spawn, spawnSync } from "node:child_process";
import { Terminal } from "@xterm/headless";
import { MAIN } from "./started.ts";

/** util-linux's `script` gives a program a terminal of its own. */
export const hasTerminal = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") ?? false;

export interface Screen {
  readonly code: number | null;
  /** All bytes that the terminal was sent. */
  readonly sent: string;
  /** The screen in the end: its lines without blank ones at the end; what a line too long went on with is part of it. */
  readonly lines: readonly string[];
}

const ROWS = 200;

/** What is typed, once the terminal shows what the pattern finds. */
export type Typed = readonly [shown: RegExp, typed: string];
export const CTRL_C = "\x03";
export const CTRL_D = "\x04";

/** Runs `mpcformer …args` on a terminal at which something is typed, one after the other. */
export async function onScreen(args: readonly string[], columns = 100, typed: readonly Typed[] = []): Promise<Screen> {
  const quoted = [process.execPath, MAIN, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const command = `stty cols ${columns} rows ${ROWS} -echoctl; exec ${quoted}`;
  const child = spawn("script", ["-qefc", command, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm-256color", SHELL: "/bin/sh" },
  });
  let sent = "";
  const waiting = [...typed];
  let seen = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    sent += text;
    // What was shown before the last thing was typed does not count again.
    if (waiting.length > 0 && waiting[0][0].test(sent.slice(seen))) {
      child.stdin.write(waiting.shift()![1]);
      seen = sent.length;
    }
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { code, sent, lines: await shown(sent, columns) };
}

async function shown(sent: string, columns: number): Promise<string[]> {
  const terminal = new Terminal({ cols: columns, rows: ROWS, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(sent, resolve));
  const { active } = terminal.buffer;
  const lines: string[] = [];
  for (let i = 0; i < active.length; i++) {
    const line = active.getLine(i);
    const text = line?.translateToString(true) ?? "";
    if (line?.isWrapped) lines[lines.length - 1] += text;
    else lines.push(text);
  }
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

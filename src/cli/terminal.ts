/**
 * The only place that writes to stdout and stderr: results on stdout, everything else on stderr. It keeps the line of
 * progress, which is wiped before anything else is written and drawn again behind it.
 */
import { createInterface } from "node:readline";
import colours from "picocolors";

const { bold } = colours.createColors(process.env.NO_COLOR === undefined || process.env.NO_COLOR === "");

type Stream = NodeJS.WriteStream;

const WIPE = "\r\x1b[K";
/** Where a terminal does not say how wide it is. */
const COLUMNS = 80;
/** A shell's code for a program that wrote to a pipe that nobody reads (128 + SIGPIPE). */
const BROKEN_PIPE = 141;
/** The same for one that Ctrl+C ends (128 + SIGINT). */
const INTERRUPTED = 130;

const { stdin, stdout, stderr } = process;
/** The line of progress, while there is one; and whether it stands on the screen. */
let status: string | null = null;
let drawn = false;
/** The stream whose last line has not ended yet. */
let open: Stream | null = null;
let outlives = false;
let machines = false;

/** Says whether machines read what this command writes: then warnings and errors are JSON too. */
export function writeForMachines(whether: boolean): void {
  machines = whether;
}

export function isForMachines(): boolean {
  return machines;
}

/** Whether lines can be wiped there. */
export function isScreen(stream: Stream = stderr): boolean {
  return stream.isTTY === true && process.env.TERM !== "dumb";
}

/** Writes text as it is; it may be the beginning of a line. */
export function write(text: string): void {
  put(stdout, text);
}

export function print(line = ""): void {
  put(stdout, `${line}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** A line for people that is no result. */
export function note(line: string): void {
  put(stderr, `${line}\n`);
}

/** A line that they must not miss. */
export function warn(line: string): void {
  if (machines) note(JSON.stringify({ warning: line }));
  else note(isScreen() ? bold(`warning: ${line}`) : `warning: ${line}`);
}

/** Whether somebody sits at a terminal who can be asked. */
export function hasPrompt(): boolean {
  return stdin.isTTY === true && isScreen();
}

/**
 * Asks who sits at the terminal for lines, which go into no history, until they end the input (Ctrl+D). Ctrl+C ends the process,
 * as it does everywhere.
 */
export async function* ask(question: string): AsyncGenerator<string> {
  const lines = createInterface({ input: stdin, output: stderr, historySize: 0, prompt: question });
  lines.on("SIGINT", () => process.exit(INTERRUPTED));
  try {
    lines.prompt();
    for await (const line of lines) {
      yield line;
      lines.prompt();
    }
    // Behind the question that had no answer.
    stderr.write("\n");
  } finally {
    lines.close();
  }
}

/** Shows a line of progress on a screen until it is replaced or, with null, taken away. */
export function showStatus(line: string | null): void {
  status = line;
  if (line === null) wipe();
  else draw();
}

function put(stream: Stream, text: string): void {
  if (text === "") return;
  wipe();
  // On one screen the other stream's half line must not go on here.
  if (open !== null && open !== stream && isScreen(open) && isScreen(stream)) {
    stream.write("\n");
    open = null;
  }
  stream.write(text);
  if (!text.endsWith("\n")) open = stream;
  else if (open === stream) open = null;
  draw();
}

function wipe(): void {
  if (drawn) stderr.write(WIPE);
  drawn = false;
}

function draw(): void {
  // Behind half a line of text it would be wiped together with it.
  if (status === null || open !== null || !isScreen()) return;
  stderr.write(WIPE + status.slice(0, (stderr.columns || COLUMNS) - 1));
  drawn = true;
}

/**
 * From now on the process goes on when nobody reads stdout any more, as a service must. Before, a command ends quietly
 * then, with the code that a shell gives to programs which the signal ends.
 */
export function outliveReaders(): void {
  outlives = true;
}

stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (outlives) return;
  if (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED") process.exit(BROKEN_PIPE);
  const message = `cannot write to standard output: ${error.message}`;
  note(machines ? JSON.stringify({ error: { kind: "failed", message } }) : `mpcformer: ${message}`);
  process.exit(1);
});
// Nothing can be told about it any more.
stderr.on("error", () => {});
process.on("exit", wipe);

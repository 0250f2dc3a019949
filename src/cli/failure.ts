/** How a command fails: the kinds of failure, their exit codes, and how they are told to people and to machines. */
import { CommanderError } from "commander";
import { InternalError } from "../errors.ts";
import { isForMachines, note } from "./terminal.ts";

/** The command line itself is wrong: an option, an argument, or what they are together. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What was asked for cannot be done: a file, a peer or this machine stands in the way. One line says what to do. */
export class Failure extends Error {
  override readonly name = "Failure";
}

/** What a failure is of: the command line; files, peers and the machine; or this program. */
type Kind = "usage" | "failed" | "internal";

/** sysexits(3) has 70 for a fault of the program itself. */
const EXIT_CODES: Readonly<Record<Kind, number>> = { failed: 1, usage: 2, internal: 70 };

/** A cause that is told beside its error, and the error's own place in the program. */
interface Trace {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

/** More causes of causes than any error here has. */
const MOST_CAUSES = 16;
const ENGINE_ERRORS = [TypeError, ReferenceError, SyntaxError];

/** Whether failures are told with stacks and causes. */
function isDebugging(): boolean {
  return !["", "0", undefined].includes(process.env.MPCFORMER_DEBUG);
}

/** Turns that on, here and in the processes that this one starts. */
export function debug(): void {
  process.env.MPCFORMER_DEBUG = "1";
}

/** A failure as machines read it. */
export function toldOf(error: unknown): { readonly kind: Kind; readonly message: string } {
  const kind = kindOf(error);
  return { kind, message: messageOf(error, kind) };
}

/** Tells why a command ends, and gives its exit code. 0: it was asked for help or its version alone. */
export function report(error: unknown): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const { kind, message } = toldOf(error);
  const traces = isDebugging() ? tracesOf(error) : [];
  if (isForMachines()) note(JSON.stringify({ error: { kind, message, ...(traces.length === 0 ? {} : { traces }) } }));
  else {
    // Commander has printed the whole help.
    if (!(error instanceof CommanderError && error.code === "commander.help")) note(`mpcformer: ${message}`);
    for (const [i, { stack }] of traces.entries()) note(i === 0 ? stack : `caused by ${stack}`);
  }
  return EXIT_CODES[kind];
}

/** The failure of a process that was started with --json, from the last line that it wrote to stderr. */
export function failureFrom(line: string, otherwise: string): Error {
  const told = toldIn(line);
  if (told === null) return new Failure(line.replace(/^mpcformer: /, "") || otherwise);
  const { kind, message, traces = [] } = told;
  const cause = traces.reduceRight<Error | undefined>((inner, { name, message, stack }) => {
    return Object.assign(new Error(message, { cause: inner }), { name, stack });
  }, undefined);
  if (kind === "usage") return new UsageError(message, { cause });
  return kind === "internal" ? new InternalError(message, { cause }) : new Failure(message, { cause });
}

function toldIn(line: string): { kind: Kind; message: string; traces?: readonly Trace[] } | null {
  try {
    return (JSON.parse(line) as { error?: { kind: Kind; message: string; traces?: readonly Trace[] } }).error ?? null;
  } catch {
    return null;
  }
}

function kindOf(error: unknown): Kind {
  if (error instanceof UsageError || error instanceof CommanderError) return "usage";
  const ours = error instanceof InternalError || ENGINE_ERRORS.some((kind) => error instanceof kind);
  return ours || !(error instanceof Error) ? "internal" : "failed";
}

/** One line that says what to do. */
function messageOf(error: unknown, kind: Kind): string {
  if (error instanceof CommanderError) return fromCommander(error);
  const message = error instanceof Error ? error.message.split("\n")[0] : "failed";
  if (kind !== "internal" || message.startsWith(OURS)) return message;
  return `${OURS}: ${message} (please report it; --debug shows where)`;
}

const OURS = "a fault of mpcformer itself";

/** Commander writes a suggestion on a line of its own. */
function fromCommander({ code, message }: CommanderError): string {
  if (code === "commander.help") return "no command is given: see mpcformer --help";
  return message
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ")
    .trim();
}

/** An error and its chain of causes, the outermost first. */
function tracesOf(error: unknown): Trace[] {
  const traces: Trace[] = [];
  for (let at = [error]; at.length > 0 && traces.length < MOST_CAUSES; ) {
    const [next, ...rest] = at;
    at = rest;
    if (!(next instanceof Error)) continue;
    traces.push({ name: next.name, message: next.message, stack: next.stack ?? `${next.name}: ${next.message}` });
    at = [
      ...(next.cause === undefined ? [] : [next.cause]),
      ...(next instanceof AggregateError ? next.errors : []),
      ...at,
    ];
  }
  return traces;
}

/** Texts that are asked about, and where they come from: the command line, a file, standard input, or who sits there. */
import { open } from "node:fs/promises";
import { type Command, Option } from "commander";
import { decodeText, readTextFile } from "../files/text.ts";
import { Failure, UsageError } from "./failure.ts";
import { ask, hasPrompt } from "./terminal.ts";

export interface TextOptions {
  readonly file?: string;
  readonly lines?: boolean;
}

export interface PairOptions extends TextOptions {
  readonly pair?: string;
  readonly pairFile?: string;
  readonly pairs?: boolean;
}

/** What is asked about. */
export interface Given {
  readonly text: string;
  readonly pair?: string;
}

/** A line of many: what it gives, or why it gives nothing; counted from 1. */
export type GivenLine = { readonly line: number } & ({ readonly given: Given } | { readonly error: Error });

/** As the only argument: standard input. */
const STANDARD_INPUT = "-";
/** Of one text. */
const MOST_BYTES = 2 ** 26;
const LINE_END = 10;

/** The argument and the options of a command that takes a text. */
export function texts(command: Command, name: string): Command {
  return command
    .argument(
      `[${name}]`,
      "the text. It stays on this machine, but here other users see it in the list of processes, and shells keep it in their history: " +
        'without it, or as "-", it is read from standard input, or asked for on a terminal',
    )
    .option("--file <file>", "take the text from a file")
    .option("--lines", "of a file or standard input: a text on each line, answered in order with a line of JSON each");
}

/** The options of a command that takes pairs of texts too. */
export function pairs(command: Command): Command {
  return command
    .addOption(new Option("--pair <text>", "the second text of a pair; can be seen as the first one can"))
    .addOption(new Option("--pair-file <file>", "take the second text from a file").conflicts(["pair"]))
    .addOption(new Option("--pairs", "each text is two, with a tab between them").conflicts(["pair", "pairFile"]));
}

/**
 * The one text that a command asks about.
 * @throws UsageError for two texts, Failure for none, FileError for what is no text.
 */
export async function textOf(argument: string | undefined, options: PairOptions): Promise<Given> {
  const text = await oneText(argument, options);
  if (options.pairs) return split(text);
  const pair = options.pairFile === undefined ? options.pair : withoutLineEnd(await readTextFile(options.pairFile));
  return pair === undefined ? { text } : { text, pair };
}

async function oneText(argument: string | undefined, { file }: TextOptions): Promise<string> {
  if (argument !== undefined && file !== undefined) throw new UsageError("give a text, or --file F, not both");
  if (file !== undefined) return withoutLineEnd(await readTextFile(file));
  if (argument !== undefined && argument !== STANDARD_INPUT) return argument;
  if (argument === undefined && hasPrompt()) {
    for await (const answer of ask("text: ")) return answer;
    throw new Failure("no text was given");
  }
  const text = withoutLineEnd(decodeText(await allOf(process.stdin), "standard input"));
  if (text === "") throw new Failure("standard input is empty: give a text there, or --file F");
  return text;
}

/** The lines of a file or of standard input as they come, each for itself: what one gives, or why it gives nothing. */
export async function* linesOf(argument: string | undefined, options: PairOptions): AsyncGenerator<GivenLine> {
  if (argument !== undefined && argument !== STANDARD_INPUT)
    throw new UsageError("--lines takes texts from --file F or standard input: give no text beside it");
  if (argument !== undefined && options.file !== undefined)
    throw new UsageError("give --file F or standard input, not both");
  if (options.pair !== undefined || options.pairFile !== undefined)
    throw new UsageError("--lines takes pairs with a tab between them: give --pairs instead");
  let line = 0;
  for await (const read of rawLines(argument, options.file)) {
    line++;
    try {
      const text = read();
      yield { line, given: options.pairs ? split(text) : { text } };
    } catch (error) {
      yield { line, error: error as Error };
    }
  }
}

/** Each line, to be read: what is no text is told for the line alone. */
async function* rawLines(argument: string | undefined, file: string | undefined): AsyncGenerator<() => string> {
  if (file === undefined && argument === undefined && hasPrompt()) {
    for await (const typed of ask("text: ")) yield () => typed;
    return;
  }
  const name = file ?? "standard input";
  let line = 0;
  for await (const bytes of splitLines(await streamOf(file), name)) {
    line++;
    yield () => decodeLine(bytes, `${name}, line ${line}`, line === 1);
  }
}

async function streamOf(file: string | undefined): Promise<AsyncIterable<Uint8Array>> {
  if (file === undefined) return process.stdin;
  try {
    return (await open(file)).createReadStream();
  } catch (cause) {
    throw new Failure(`cannot read ${file}: give the path of a text file`, { cause });
  }
}

/** A stream's lines as bytes, without their ends; the last one may lack its own. @throws Failure for one without end. */
async function* splitLines(stream: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_END); at >= 0; at = chunk.indexOf(LINE_END, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, at)]);
      [begun, bytes, from] = [[], 0, at + 1];
    }
    if (from < chunk.length) begun.push(chunk.subarray(from));
    bytes += chunk.length - from;
    if (bytes > MOST_BYTES) throw new Failure(`${name} has a line of more than ${MOST_BYTES} bytes: split it`);
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}

/** @throws Failure that names the line. */
function decodeLine(bytes: Uint8Array, name: string, first: boolean): string {
  try {
    // A byte order mark is one at the beginning of all alone.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: !first }).decode(bytes).replace(/\r$/, "");
  } catch (cause) {
    throw new Failure(`${name}: not UTF-8; convert the file`, { cause });
  }
}

async function allOf(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of stream) {
    parts.push(part);
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new Failure(`standard input has more than ${MOST_BYTES} bytes: give one text`);
  }
  return Buffer.concat(parts);
}

/** As `echo` and editors write it behind a text. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** @throws Failure unless there is one tab. */
function split(text: string): Given {
  const parts = text.split("\t");
  if (parts.length !== 2) throw new Failure("--pairs takes two texts with one tab between them");
  return { text: parts[0], pair: parts[1] };
}

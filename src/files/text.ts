/** Text files from outside: UTF-8 or refused. Every file that is read as text is read here. Node only. */

import { readFile, stat } from "node:fs/promises";

/** A file that cannot be read as text: one line that names it and says what to do; never its content. */
export class FileError extends Error {
  override readonly name = "FileError";
}

/** The longest file that is read as one text: a JavaScript string holds less than 2^29 letters. */
const LONGEST = 2 ** 29 - 2 ** 16;

/**
 * The text of a file: UTF-8, without its byte order mark.
 * @param hint what the reader needs, for the message: "give the path of a text file"
 * @throws FileError when it cannot be read, is too long or is not UTF-8.
 */
export async function readTextFile(path: string, hint = "give the path of a text file"): Promise<string> {
  let bytes: Uint8Array;
  try {
    const { size } = await stat(path);
    if (size > LONGEST) throw new FileError(`${path} is larger than ${LONGEST} bytes: split it`);
    bytes = await readFile(path);
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    throw new FileError(`cannot read ${path}: ${hint}`, { cause });
  }
  return decodeText(bytes, path);
}

/**
 * The text of bytes that came as a file or a pipe: UTF-8, without its byte order mark. `name` is what messages call it.
 * @throws FileError that says which line is not UTF-8, or that all of it is UTF-16.
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (isUtf16(bytes)) throw new FileError(`${name}: UTF-16, not UTF-8; convert the file`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FileError(`${name}, line ${firstBadLine(bytes)}: not UTF-8; convert the file`, { cause });
  }
}

/** By its byte order mark; without one, UTF-16 of most alphabets has a zero in every second byte, which is valid UTF-8. */
function isUtf16(bytes: Uint8Array): boolean {
  const mark = (bytes[0] << 8) | bytes[1];
  if (mark === 0xfffe || mark === 0xfeff) return true;
  const start = bytes.subarray(0, 4096);
  return start.filter((byte) => byte === 0).length * 4 > start.length;
}

/** The first line, from 1, that is not UTF-8 by itself. */
function firstBadLine(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(10, start);
    const stop = end < 0 ? bytes.length : end;
    try {
      decoder.decode(bytes.subarray(start, stop));
    } catch {
      break;
    }
    start = stop + 1;
  }
  return line;
}

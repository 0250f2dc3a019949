/**
 * Changes to valid inputs. An edit is four numbers, any four: fast-check draws and shrinks them in CI, a plain generator
 * draws them in the long form, and a finding is written down as its numbers.
 */

export type Edit = readonly [kind: number, place: number, value: number, length: number];

/** Numbers where parsers go wrong, as they stand in 32-bit fields. */
const WORDS = [0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7f800000, 0x7fc00000].concat(
  [0x7fffffff, 0x80000000, 0xff800000, 0xfffffff8, 0xfffffffe, 0xffffffff],
);

/** JSON values where validation goes wrong. */
const VALUES = ["0", "-0", "-1", "1", "2", "3", "8", "0.5", "1e-320", "1e999", "-1e999", "2147483647", "2147483648"]
  .concat(["4294967296", "9007199254740991", "9007199254740993", "1e15", "1e308", '""', '"a"', '" "', '"\\u0000"'])
  .concat(['"__proto__"', '"constructor"', '"toString"', '"\\ud800"', '"\\n"', "null", "true", "false", "[]", "{}"])
  .concat([
    "[[]]",
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"type":"Sequence"}',
  ])
  .concat([`"${"a".repeat(5000)}"`, `[${"0,".repeat(2000)}0]`, "NaN", "Infinity", "01", "'a'"]);
const KEYS = [
  '"__proto__"',
  '"constructor"',
  '"prototype"',
  '"toString"',
  '""',
  '"a"',
  '"0"',
  '"-1"',
  '"\\u005f_proto__"',
];
const NESTS: readonly (readonly [string, string])[] = [
  ["[", "]"],
  ['{"a":', "}"],
  ['{"type":"Sequence","normalizers":[', "]}"],
  ['{"type":"Sequence","pretokenizers":[', "]}"],
  ['{"type":"Sequence","processors":[', "]}"],
];
const DEPTHS = [1, 3, 30, 3000];
const TOKEN = /"(?:[^"\\]|\\.)*"|[-+.\w]+|[{}[\],:]/g;

/** The bytes with one change: a flipped bit, another byte or word, less, more, or a piece of them elsewhere. */
export function editBytes(bytes: Uint8Array, [kind, place, value, length]: Edit): Uint8Array {
  const at = place % (bytes.length + 1);
  const size = 1 + (length % (length % 7 === 0 ? 64 : 8));
  const flipped = bytes.slice();
  switch (kind % 7) {
    case 0:
      flipped[at] ^= 1 << (value % 8);
      return flipped;
    case 1:
      flipped[at] = value;
      return flipped;
    case 2:
      return withWord(flipped, value % 2 === 0 ? at & ~3 : at, WORDS[(value >>> 1) % WORDS.length]);
    case 3:
      return bytes.slice(0, at);
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(at + size));
    case 5:
      return joined(bytes.subarray(0, at), noise(value, size), bytes.subarray(at));
    default:
      return joined(bytes.subarray(0, at), piece(bytes, value, size), bytes.subarray(at));
  }
}

/** JSON text with one change to its tokens: another value or key, one more or fewer, deeper, or one of its own elsewhere. */
export function editJson(text: string, [kind, place, value, length]: Edit): string {
  const tokens = text.match(TOKEN) ?? [];
  if (tokens.length === 0) return VALUES[value % VALUES.length];
  const at = place % tokens.length;
  const end = endOf(tokens, at);
  const put = (...own: readonly string[]) => [...tokens.slice(0, at), ...own, ...tokens.slice(end)].join("");
  const isKey = tokens[at + 1] === ":";
  switch (kind % 8) {
    case 0:
    case 1:
      return put((isKey ? KEYS : VALUES)[value % (isKey ? KEYS : VALUES).length]);
    case 2:
      return [...tokens.slice(0, at), ...tokens.slice(isKey ? endOf(tokens, at + 2) + 1 : end)].join("");
    case 3:
      return put(...tokens.slice(at, end), ",", ...tokens.slice(at, end));
    case 4:
      return put(...tokens.slice(value % tokens.length, endOf(tokens, value % tokens.length)));
    case 5: {
      const [open, close] = NESTS[value % NESTS.length];
      const depth = DEPTHS[length % 61 === 0 ? 3 : length % 3];
      return put(open.repeat(depth), ...tokens.slice(at, end), close.repeat(depth));
    }
    case 6:
      return put(...tokens.slice(at, end), ",", KEYS[value % KEYS.length], ":", VALUES[length % VALUES.length]);
    default:
      return put(nudged(tokens[at], value));
  }
}

/** Lines of text with one change: one gone, doubled, moved, or with another in it. */
export function editLines(text: string, [kind, place, value]: Edit): string {
  const lines = text.split("\n");
  const at = place % lines.length;
  const others = [
    "",
    " ",
    "\r",
    "a",
    "a b",
    "a b c",
    "__proto__",
    "##",
    "\ud800",
    "#version: 0.2",
    lines[value % lines.length],
  ];
  const other = others[value % others.length];
  lines.splice(at, kind % 3 === 0 ? 1 : 0, ...(kind % 3 === 2 ? [other, other] : [other]));
  return lines.join("\n");
}

/** Bytes that look like nothing: the same for the same number. */
function noise(seed: number, size: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length: size }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return state >>> 24;
  });
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function piece(bytes: Uint8Array, value: number, size: number): Uint8Array {
  const from = value % (bytes.length + 1);
  return bytes.subarray(from, from + size);
}

function withWord(bytes: Uint8Array, at: number, word: number): Uint8Array {
  for (let i = 0; i < 4 && at + i < bytes.length; i++) bytes[at + i] = word >>> (8 * i);
  return bytes;
}

/** Where the value that begins at this token ends. */
function endOf(tokens: readonly string[], at: number): number {
  if (tokens[at] !== "{" && tokens[at] !== "[") return at + 1;
  let depth = 0;
  for (let i = at; i < tokens.length; i++) {
    if (tokens[i] === "{" || tokens[i] === "[") depth++;
    else if ((tokens[i] === "}" || tokens[i] === "]") && --depth === 0) return i + 1;
  }
  return tokens.length;
}

/** A number nearby, a string with another letter, or a mark instead of a word. */
function nudged(token: string, value: number): string {
  if (/^-?\d/.test(token)) return String(Number(token) + [1, -1, 0.5, 2 ** 31, -(2 ** 31), 1e300][value % 6]);
  if (token.startsWith('"')) return `"${["\\u0007", "é", "▁", "#", " ", "0"][value % 6]}${token.slice(1)}`;
  return ["{", "}", "[", "]", ",", ":"][value % 6];
}

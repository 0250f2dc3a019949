/** Whole sessions of the real services, everything that they show, and the checks that must find nothing in it. */
import type { Client } from "../../src/parties/client.ts";
import type { TokenizedText } from "../../src/program/spec.ts";
import type { Program } from "../../src/program/steps.ts";
import type { Harness } from "../parties/harness.ts";
import { type Frame, type Tapped, type TappedOptions, tapped } from "../parties/tapped.ts";
import { deviations, Z } from "./statistics.ts";
import { around, DrawLedger, watchOpenings } from "./watch.ts";
import { account, fieldsIn, fieldsOf, isProof, PROOF, partsOf, uniformOf, wayOf, wireTable } from "./wire.ts";

interface Session {
  /** Which of the texts was asked. */
  readonly text: number;
  /** Which version of the model answered. */
  readonly version: number;
  readonly frames: readonly Frame[];
}

export interface Evidence {
  readonly program: Program;
  readonly texts: readonly TokenizedText[];
  readonly sessions: readonly Session[];
  /** By text and kind of message: packed words, one entry for each session. */
  readonly views: ReadonlyMap<string, readonly Uint8Array[]>;
  /** What was logged, printed and thrown. */
  readonly logs: readonly string[];
  readonly conflicts: readonly string[];
  /** In hexadecimal. */
  readonly alphas: readonly string[];
}

export interface GatherOptions {
  readonly texts: readonly TokenizedText[];
  /** Of each text. */
  readonly sessions: number;
  /** Material is made ahead and taken from here. */
  readonly stores?: TappedOptions["stores"];
  readonly identity?: TappedOptions["identity"];
  /** One model after the other, alike but for their weights; the one given unless told. */
  readonly versions?: readonly Harness[];
  /** As `tapped` has it. */
  readonly verify?: number;
}

const table = wireTable();

/** Asks every text in turn. A planted fault may break a session; what it showed until then counts all the same. */
export async function gather(h: Harness, options: GatherOptions): Promise<Evidence> {
  const { texts, stores, identity, verify, versions = [h] } = options;
  const ledger = new DrawLedger();
  const views = new Map<string, Uint8Array[]>();
  const [sessions, logs]: [Session[], string[]] = [[], []];
  let text = 0;
  const see = (name: string, bytes: Uint8Array) => views.set(name, [...(views.get(name) ?? []), bytes]);
  const undo = [
    ledger.watch(),
    watchOpenings((name, bytes) => see(`text ${text}, ${name}`, bytes)),
    ...watchConsole(logs),
  ];
  try {
    for (const [generation, version] of versions.entries()) {
      ledger.generation = generation;
      const world = await tapped(version, { identity, stores, verify });
      for (let i = 0; i < options.sessions * texts.length; i++) {
        text = i % texts.length;
        ledger.session++;
        const before = world.frames.length;
        await ask(world, texts[text], h, stores !== undefined).catch((error: Error) => logs.push(error.message));
        const frames = world.frames.slice(before);
        sessions.push({ text, version: generation, frames });
        for (const [name, bytes] of seenIn(frames, h.program, text)) see(name, bytes);
      }
      logs.push(...world.logs);
    }
  } finally {
    for (const f of undo) f();
  }
  const { conflicts, alphas } = ledger;
  return { program: h.program, texts, sessions, views, logs, conflicts: [...conflicts], alphas: [...alphas] };
}

/** One session of one client. */
async function ask(world: Tapped, text: TokenizedText, h: Harness, prepare: boolean): Promise<void> {
  const client: Client = await world.connect();
  if (prepare) await client.prepare(h.program.shape);
  await client.infer(text);
  await client.close();
  // The last word is on its way.
  await new Promise((resolve) => setTimeout(resolve, 0));
}

const CONSOLE = ["log", "info", "warn", "error", "debug"] as const;

function watchConsole(logs: string[]): (() => void)[] {
  return CONSOLE.map((name) =>
    around(
      console,
      name,
      () =>
        (...args) =>
          void logs.push(args.map(String).join(" ")),
    ),
  );
}

/** The messages of a session by kind. What does not depend on the text, weights under R and keys, has no text's name. */
function seenIn(frames: readonly Frame[], program: Program, text: number): [string, Uint8Array][] {
  const { rows } = table;
  const isPublic = (frame: Frame) =>
    rows.some((r) => r.kind === "tables" && r.phase === frame.phase && r.way === wayOf(frame));
  return frames.flatMap((frame): [string, Uint8Array][] => {
    // A model's key comes in every session: counted so often it would look uneven.
    if (isProof(frame)) return [[`text ${text}, ${PROOF}`, uniformOf(frame)]];
    if (frame.phase === "control") return secretsOf(frame, ["seed"]).map(({ bytes }) => ["keys", bytes]);
    if (frame.phase === "setup") return isPublic(frame) ? [] : [[`weights ${frame.step} under R`, frame.payload]];
    return partsOf(frame, program, table).map(({ name, bytes }) => [`text ${text}, ${name}`, bytes]);
  });
}

/** Fields of control messages that are keys. */
const SECRET_FIELDS = ["seed", "modelKey"];

function secretsOf(
  frame: Frame,
  names: readonly string[] = SECRET_FIELDS,
): { way: string; hex: string; bytes: Buffer }[] {
  const fields = fieldsIn(frame);
  return names.flatMap((name) => {
    const hex = fields[name];
    return typeof hex === "string" ? [{ way: wayOf(frame), hex, bytes: Buffer.from(hex, "hex") }] : [];
  });
}

export type Check = (e: Evidence) => readonly string[];

/** What is found; nothing in a healthy system. */
export const CHECKS = {
  /** Every message has its row in the manual's table, and its size. */
  table: (e) => e.sessions.flatMap(({ frames }) => account(frames, e.program, table).faults),
  /** Whatever anyone receives is uniform, and so is what two sessions differ by. */
  uniform: (e) =>
    deviations(e.views)
      .filter(({ z }) => z > Z)
      .map(({ key, z }) => `${key}: ${z.toFixed(1)} standard deviations`),
  /** All sessions look alike, whichever text is asked. */
  shapes: (e) => {
    const versions = new Set(e.sessions.map((s) => s.version));
    const shapes = new Set(e.sessions.map((s) => `${s.version} ${shapeOf(s.frames)}`));
    return shapes.size > versions.size ? [`${shapes.size} shapes of sessions`] : [];
  },
  /** No keystream serves two purposes. */
  ledger: (e) => e.conflicts,
  /** No key and no text is where it does not belong. */
  canaries: (e) => [...inLogs(e), ...inFrames(e), ...alphasOnWires(e)],
  /** What is checked, and how, is said when the client has opened everything, and before the answer. */
  order: (e) => e.sessions.flatMap(({ frames }) => outOfOrder(frames)),
  /** What a client hears of the dealing is the same, whatever is checked. */
  told: (e) => {
    const said = new Set(e.sessions.flatMap(({ frames }) => dealtBytes(frames)));
    return said.size > 1 ? [`clients heard of ${said.size} sizes of what was dealt`] : [];
  },
} as const satisfies Readonly<Record<string, Check>>;

/** Of control messages: what is drawn, or measured, anew each time. */
const VOLATILE = new Set(["session", "nonce", "seed", "modelKey", "seconds", "dealer", "peakRssMb", "missing"]);

/** Number, order and size of a session's messages on each wire, without the weights that only the first one sends. */
export function shapeOf(frames: readonly Frame[]): string {
  const lines = frames
    .filter((frame) => frame.phase !== "setup")
    .map((frame) => `${wayOf(frame)}: ${frame.phase} ${frame.step} ${sizeOf(frame)}`);
  // Different wires have no common clock.
  const ways = [...new Set(frames.map(wayOf))].sort();
  return ways.map((way) => lines.filter((line) => line.startsWith(way)).join("\n")).join("\n");
}

function sizeOf(frame: Frame): string {
  if (frame.phase !== "control") return `${frame.payload.length} bytes`;
  const stable = Object.entries(fieldsIn(frame)).filter(([name]) => !VOLATILE.has(name));
  return `${fieldsOf(frame)} ${JSON.stringify(stable)}`;
}

/** Keys of the sessions: where they may be, and what they look like. */
const keysOf = (e: Evidence) =>
  e.sessions.flatMap(({ frames }) => frames.filter((f) => f.phase === "control").flatMap((f) => secretsOf(f)));

/** Of one session: a challenge must follow the client's last opening, and the client's answer to it precede the server's last message. */
function outOfOrder(frames: readonly Frame[]): string[] {
  const last = (holds: (frame: Frame) => boolean) => frames.findLastIndex(holds);
  const online = (from: string) => last((f) => f.phase === "online" && f.from === from);
  const challenge = frames.findIndex((f) => f.phase === "control" && fieldsOf(f) === "openings seed");
  if (challenge < 0) return [];
  const opened = frames.slice(0, challenge).some((f) => f.phase === "online" && f.from === "client");
  const early = !opened || challenge < online("client");
  const found = early ? ["a challenge comes before the client's last opening"] : [];
  return last(isProof) > online("server") ? [...found, "an answer leaves before the check"] : found;
}

/** The bytes that the server says were dealt. */
function dealtBytes(frames: readonly Frame[]): unknown[] {
  const ready = frames.filter((f) => f.phase === "control" && wayOf(f) === "server to client");
  return ready.flatMap((frame) => {
    const dealt = fieldsIn(frame).dealer as { readonly bytes: number } | undefined;
    return dealt === undefined ? [] : [dealt.bytes];
  });
}

/** What the server checks with is on no wire: its seed alone is, to the dealer. */
function alphasOnWires(e: Evidence): string[] {
  const forms = e.alphas.flatMap((hex) => {
    const bytes = Buffer.from(hex, "hex");
    return [bytes, Buffer.from(hex), Buffer.from(bytes.readBigUInt64LE().toString())];
  });
  return e.sessions.flatMap(({ frames }) =>
    frames
      .filter(({ payload }) => forms.some((form) => Buffer.from(payload).includes(form)))
      .map((frame) => `what a client is checked with went from ${wayOf(frame)}`),
  );
}

/** A text's tokens as a list, however they are set apart. */
const listed = (text: TokenizedText) => new RegExp(text.ids.join("[^0-9]{1,4}"));

function inLogs(e: Evidence): string[] {
  const all = e.logs.join("\n");
  const texts = e.texts.flatMap((text, i) => (listed(text).test(all) ? [`text ${i} is in the logs`] : []));
  const forms = ({ bytes }: { bytes: Buffer }) => [bytes.toString("hex"), bytes.toString("base64"), bytes.join(",")];
  const keys = keysOf(e).filter((key) => forms(key).some((form) => all.includes(form)));
  return [...texts, ...keys.map(({ way }) => `a key from ${way} is in the logs`)];
}

function inFrames(e: Evidence): string[] {
  const found: string[] = [];
  for (const { text, frames } of e.sessions) {
    const { ids } = e.texts[text];
    const needles = [
      Buffer.from(ids),
      Buffer.from(Uint16Array.from(ids).buffer),
      Buffer.from(Uint32Array.from(ids).buffer),
    ];
    const keys = frames.filter((f) => f.phase === "control").flatMap((f) => secretsOf(f));
    for (const frame of frames) {
      const payload = Buffer.from(frame.payload.buffer, frame.payload.byteOffset, frame.payload.length);
      const isText =
        needles.some((n) => payload.includes(n)) ||
        (frame.phase === "control" && listed(e.texts[text]).test(payload.toString()));
      if (isText) found.push(`text ${text} went from ${wayOf(frame)}`);
      for (const { way, hex, bytes } of keys) {
        const away = way !== wayOf(frame) && (payload.includes(bytes) || payload.includes(hex));
        if (away) found.push(`a key from ${way} went from ${wayOf(frame)}`);
      }
    }
  }
  return found;
}

/**
 * The layout of a frame, the same over every wire:
 *
 *   payload length 4 | phase 1 | direction 1 | zero 2 | step 4 | sequence number 4 | session 8 | tag 16 | payload
 */
import { type Side, TAG_BYTES } from "./tag.ts";

export type Phase = "control" | "setup" | "offline" | "online";
const PHASES: readonly Phase[] = ["control", "setup", "offline", "online"];
const FIELD_BYTES = 24;
const SESSION_AT = 16;
export const SESSION_BYTES = 8;
export const HEADER_BYTES = FIELD_BYTES + TAG_BYTES;

/** What a header says, but for the session and the tag. */
export interface Fields {
  readonly length: number;
  /** Undefined for a number that names no phase. */
  readonly phase: Phase | undefined;
  readonly step: number;
  readonly sequence: number;
}

/** A header without its tag. */
export function headerOf(fields: Fields & { readonly phase: Phase }, from: Side, session: Uint8Array): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, fields.length, true);
  view.setUint8(4, PHASES.indexOf(fields.phase));
  view.setUint8(5, directionOf(from));
  view.setUint32(8, fields.step, true);
  view.setUint32(12, fields.sequence, true);
  header.set(session, SESSION_AT);
  return header;
}

export function fieldsOf(header: Uint8Array): Fields {
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
  return {
    length: view.getUint32(0, true),
    phase: PHASES[view.getUint8(4)],
    step: view.getUint32(8, true),
    sequence: view.getUint32(12, true),
  };
}

/** Whether a header names `from` as its sender, and has zero where nothing is said. */
export function isFrom(header: Uint8Array, from: Side): boolean {
  return header[5] === directionOf(from) && header[6] === 0 && header[7] === 0;
}

export function isOfSession(header: Uint8Array, session: Uint8Array): boolean {
  return session.every((byte, i) => byte === header[SESSION_AT + i]);
}

/** What a tag is made of, before the payload. */
export function taggedPart(header: Uint8Array): Uint8Array {
  return header.subarray(0, FIELD_BYTES);
}

export function setTag(header: Uint8Array, tag: Uint8Array): void {
  header.set(tag, FIELD_BYTES);
}

export function hasTag(header: Uint8Array, tag: Uint8Array): boolean {
  return tag.every((byte, i) => byte === header[FIELD_BYTES + i]);
}

/** The other end. */
export function other(side: Side): Side {
  return side === "opener" ? "listener" : "opener";
}

function directionOf(from: Side): number {
  return from === "opener" ? 1 : 2;
}

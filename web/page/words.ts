/** Numbers, keys and errors as people read them. */
import type { Entity } from "../../src/answers/entities.ts";

export function bytesOf(count: number): string {
  if (count < 1e3) return `${count} B`;
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} kB`;
  return `${(count / 1e6).toFixed(1)} MB`;
}

export function secondsOf(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** "about 3 s left": whole seconds, so that it does not flicker. */
export function leftOf(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  return whole < 90 ? `about ${whole} s left` : `about ${Math.round(whole / 60)} min left`;
}

export function percentOf(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Both ends of a key's fingerprint: what fits a line; people compare the whole. */
export function shortKey(fingerprint: string): string {
  return `${fingerprint.slice(0, 8)}…${fingerprint.slice(-8)}`;
}

export function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

/** "Ada Lovelace (PER), London (LOC)". */
export function entitiesIn(entities: readonly Entity[]): string {
  if (entities.length === 0) return "no entities";
  return entities.map(({ word, entity_group }) => `${word} (${entity_group})`).join(", ");
}

/** A worker's error, without advice that is for the command line. */
export function plainly(message: string): string {
  const plain = message.replace(/[;:] (raise --deadline|see its messages|shorten it, or set truncate).*$/, "");
  return plain === message || !message.includes("truncate") ? plain : `${plain}: shorten it`;
}

/** What a session is: its name is a hash of everything that its parties must agree on. */
import { type Channel, ChannelError } from "../channels/channel.ts";
import { hex } from "./weights.ts";

/** What one request may take in all, unless told. */
export const WHOLE_MS = 30 * 60_000;

/** All that names a session. Fingerprints of keys are empty without TLS. */
export interface SessionParts {
  readonly version: string;
  /** Of the weights, the shape and the plan: a new model has a new one (`modelId`). */
  readonly model: string;
  /** Of the program, which follows from shape, approximations, plan and padded length. */
  readonly program: string;
  /** Random, of either side: no two sessions have one name. */
  readonly clientNonce: string;
  readonly serverNonce: string;
  readonly client: string;
  readonly server: string;
  readonly dealer: string;
}

/** SHA-256 over the parts in their order; 64 hexadecimal digits. */
export function sessionId(parts: SessionParts): Promise<string> {
  const { version, model, program, clientNonce, serverNonce, client, server, dealer } = parts;
  return digest([version, model, program, clientNonce, serverNonce, client, server, dealer]);
}

/** The name of a run of the material of several sessions. */
export function runId(sessions: readonly string[]): Promise<string> {
  return digest(["run", ...sessions]);
}

/**
 * A model's public name: a commitment to what `fingerprint` is a digest of, its weights, shape and plan. The salt is the
 * server's alone, so that nobody can try weights that he guesses.
 */
export function modelId(salt: Uint8Array, fingerprint: string): Promise<string> {
  return digest(["model", hex(salt), fingerprint]);
}

/** Runs `work` with a channel's frames bound to a session, and frees it afterwards: also after an error, to say so. */
export async function boundTo<T>(channel: Channel, session: string, work: () => Promise<T>): Promise<T> {
  channel.bind(bytesOf(session));
  try {
    return await work();
  } finally {
    channel.bind(new Uint8Array(8));
  }
}

/** Ends a channel whose work takes longer than so many milliseconds in all. */
export async function within<T>(channel: Channel, ms: number, work: () => Promise<T>): Promise<T> {
  const late = () => channel.close(new ChannelError(`the request took longer than ${ms / 1000} s in all`));
  const timer = setTimeout(late, ms);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}

function bytesOf(session: string): Uint8Array {
  return Uint8Array.from({ length: 8 }, (_, i) => Number.parseInt(session.slice(2 * i, 2 * i + 2), 16));
}

async function digest(parts: readonly unknown[]): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

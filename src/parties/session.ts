/** What a session is: its name is a hash of everything that its parties must agree on. */

import type { Channel } from "../channels/channel.ts";
import { fromHex } from "../ring/hex.ts";
import { digestOf } from "./weights.ts";

/** All that names a session. Fingerprints of keys are empty without TLS. */
export interface SessionParts {
  readonly version: string;
  /** Of the weights, the shape and the plan: a new model has a new one (model-identity.ts). */
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
  return digestOf([version, model, program, clientNonce, serverNonce, client, server, dealer]);
}

/** The name of a run of the material of several sessions. */
export function runId(sessions: readonly string[]): Promise<string> {
  return digestOf(["run", ...sessions]);
}

/** Runs `work` with a channel's frames bound to a session, and frees it afterwards: also after an error, to say so. */
export async function boundTo<T>(channel: Channel, session: string, work: () => Promise<T>): Promise<T> {
  channel.bind(fromHex(session));
  try {
    return await work();
  } finally {
    channel.bind();
  }
}

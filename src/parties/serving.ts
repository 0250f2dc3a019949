/** What serving one connection means for server and dealer alike: a place, a deadline, and a word to the peer when it ends. */

import type { Admission } from "../admission/admission.ts";
import { type Channel, ChannelError } from "../channels/channel.ts";
import { failureOf, type Log, lineForPeer } from "./events.ts";
import { isBye } from "./messages.ts";

/** What one request may take in all, unless told. */
export const WHOLE_MS = 30 * 60_000;

/** Serves a connection in a place of its own, and closes it. @throws what ended it, once it was told and the peer knows. */
export async function serving(
  channel: Channel,
  admission: Admission,
  log: Log | undefined,
  work: () => Promise<void>,
): Promise<void> {
  let leave = () => {};
  try {
    leave = admission.enter(channel.account);
    await work();
    channel.close();
  } catch (error) {
    log?.(failureOf(error));
    await channel.refuse(lineForPeer(error));
    throw error;
  } finally {
    leave();
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

/** The next message, or null where the peer has said, or shown by leaving between two messages, that there is none. */
export async function nextMessage(channel: Channel): Promise<unknown> {
  try {
    const message = await channel.receiveJson(0);
    return isBye(message) ? null : message;
  } catch (error) {
    // A closed page says no goodbye: nobody has to look into it.
    if (channel.left) return null;
    throw error;
  }
}

import { Channel, type ChannelOptions } from "./channel.ts";
import type { Wire } from "./wire.ts";

/** Two ends in one process, with the framing and the counts of a network; both belong to the owner of a key, where one is named. */
export function memoryPair(deadlineMs = 60_000, owner = ""): [Channel, Channel] {
  const ends: Channel[] = [];
  const end = (peer: number): Wire => ({
    async write(parts) {
      // Copies: what a network would have taken, the sender may overwrite afterwards.
      for (const part of parts) {
        const copy = part.slice();
        queueMicrotask(() => ends[peer].feed(copy));
      }
    },
    pause() {},
    resume() {},
    close() {
      queueMicrotask(() => ends[peer].disconnected());
    },
  });
  const options = (side: ChannelOptions["side"]): ChannelOptions => ({
    ...{ peer: "peer", deadlineMs, side },
    identities: { own: owner, peer: owner },
  });
  ends.push(new Channel(end(1), options("opener")), new Channel(end(0), options("listener")));
  return [ends[0], ends[1]];
}

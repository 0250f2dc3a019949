import type { Link } from "./channel.ts";
import type { Wire } from "./wire.ts";

/**
 * A wire that takes as long as a network would: what is written leaves at the link's rate, one message after the other, and
 * arrives after its delay. Each end shapes what it sends, so both need the same link. For measuring; the bytes are the same.
 */
export function shaped(wire: Wire, link: Link): Wire {
  let free = 0;
  let arrived: Promise<void> = Promise.resolve();
  return {
    write(parts, progress) {
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      const now = performance.now();
      free = Math.max(free, now) + (1000 * bytes) / link.bytesPerSecond;
      const arrival = new Promise<void>((resolve) => setTimeout(resolve, free + link.delayMs - now));
      const before = arrived;
      arrived = before.then(() => arrival).then(() => wire.write(parts, progress));
      return arrived;
    },
    pause: () => wire.pause(),
    resume: () => wire.resume(),
    close: () => {
      arrived.catch(() => {}).finally(() => wire.close());
    },
  };
}

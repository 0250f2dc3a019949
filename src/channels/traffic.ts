/** What crosses a channel, counted: bytes and frames of each phase, flights of the online phase. */
import { HEADER_BYTES, type Phase } from "./frame.ts";

/** Frames and their bytes, headers included. */
export interface Traffic {
  bytes: number;
  frames: number;
}
export type TrafficByPhase = Readonly<Record<Phase, Readonly<Traffic>>>;

export class TrafficMeter {
  readonly sent = emptyTraffic();
  readonly received = emptyTraffic();
  /** One-way latencies of the online phase so far: frames of both directions with one step number are one flight. */
  flights = 0;
  #lastFlight = -1;

  /** Counts one frame with so many payload bytes. */
  count(way: "sent" | "received", phase: Phase, step: number, length: number): void {
    const traffic = this[way][phase];
    traffic.bytes += HEADER_BYTES + length;
    traffic.frames++;
    if (phase === "online" && step !== this.#lastFlight) {
      this.#lastFlight = step;
      this.flights++;
    }
  }
}

function emptyTraffic(): Record<Phase, Traffic> {
  const none = () => ({ bytes: 0, frames: 0 });
  return { control: none(), setup: none(), offline: none(), online: none() };
}

/** A proxy that knows frames and spoils one of them: what a bad network, or a bad machine in it, may do. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { HEADER_BYTES } from "../../src/channels/frame.ts";
import { portOf } from "../../src/channels/tcp.ts";

export const WIRE_FAULTS = [
  "drop",
  "duplicate",
  "reorder",
  "flip header",
  "flip payload",
  "truncate",
  "splice",
  "replay",
  "swallow",
  "stall",
  "slow",
] as const;
export type WireFault = (typeof WIRE_FAULTS)[number];

/** 0: control, 1: setup, 2: offline, 3: online (channel.ts). */
export type PhaseNumber = 0 | 1 | 2 | 3;

export interface Spoil {
  readonly fault: WireFault;
  /** To the listener, or back from it. */
  readonly way: "there" | "back";
  readonly phase: PhaseNumber;
  /** Which frame of that phase and way. */
  readonly nth: number;
}

const SLOW_MS = 200;

/** Passes connections on to a port, and spoils one frame of the first that has it. */
export class Tamper {
  /** Whether the frame came by. */
  done = false;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private seen = 0;
  private earlier: Buffer | null = null;
  private held: Buffer | null = null;
  private slowed = false;
  private readonly spoil: Spoil;

  private constructor(target: number, spoil: Spoil) {
    this.spoil = spoil;
    this.server = createServer((near) => {
      const far = connect(target, "127.0.0.1");
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on("error", () => {});
        socket.setNoDelay(true);
      }
      this.pass(near, far, "there");
      this.pass(far, near, "back");
    });
  }

  /** The proxy and its port. */
  static async before(target: number, spoil: Spoil): Promise<{ tamper: Tamper; port: number }> {
    const tamper = new Tamper(target, spoil);
    await new Promise<void>((resolve) => tamper.server.listen(0, "127.0.0.1", resolve));
    return { tamper, port: portOf(tamper.server) };
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private pass(from: Socket, to: Socket, way: Spoil["way"]): void {
    let pending = Buffer.alloc(0);
    from.on("data", (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= HEADER_BYTES) {
        const length = HEADER_BYTES + pending.readUInt32LE(0);
        if (pending.length < length) break;
        this.frame(Buffer.from(pending.subarray(0, length)), from, to, way);
        pending = Buffer.from(pending.subarray(length));
      }
    });
    const end = () => (this.slowed ? setTimeout(() => to.end(), SLOW_MS + 10) : to.end());
    from.on("end", end);
    from.on("close", end);
  }

  private frame(frame: Buffer, from: Socket, to: Socket, way: Spoil["way"]): void {
    const { phase, nth } = this.spoil;
    const ours = way === this.spoil.way && frame[4] === phase;
    if (this.held !== null && ours) {
      to.write(frame);
      to.write(this.held);
      this.held = null;
      return;
    }
    if (!ours || this.done || this.seen++ < nth) {
      if (ours) this.earlier = frame;
      this.write(to, frame, way);
      return;
    }
    this.done = true;
    this.spoiled(frame, from, to);
  }

  /** In order, and from the spoiled frame on each as late as a far network would have it. */
  private write(to: Socket, frame: Buffer, way: Spoil["way"]): void {
    if (this.slowed && way === this.spoil.way) setTimeout(() => to.write(frame), SLOW_MS);
    else to.write(frame);
  }

  private spoiled(frame: Buffer, from: Socket, to: Socket): void {
    switch (this.spoil.fault) {
      case "drop":
        from.destroy();
        to.destroy();
        return;
      case "duplicate":
        to.write(frame);
        to.write(frame);
        return;
      case "reorder":
        this.held = frame;
        return;
      case "flip header":
        frame[12] ^= 1;
        to.write(frame);
        return;
      case "flip payload":
        frame[frame.length - 1] ^= 0x10;
        to.write(frame);
        return;
      case "truncate":
        to.write(frame.subarray(0, Math.ceil(frame.length / 2)));
        to.end();
        from.destroy();
        return;
      case "splice":
        to.write(frame.subarray(0, HEADER_BYTES));
        to.write(Buffer.alloc(frame.length - HEADER_BYTES, 0x5a));
        return;
      case "replay":
        to.write(this.earlier ?? frame);
        to.write(frame);
        return;
      case "swallow":
        return; // The frame never comes; the connection stays.
      case "stall":
        from.pause();
        return;
      case "slow":
        this.slowed = true;
        this.write(to, frame, this.spoil.way);
    }
  }
}

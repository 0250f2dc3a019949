/**
 * Framed messages between two parties, in order, counted. The same framing runs over every wire:
 *
 *   payload length 4 | phase 1 | direction 1 | zero 2 | step 4 | sequence number 4 | session 8 | tag 16 | payload
 *
 * A receiver says which frame it expects before memory is taken for it; anything else ends the channel: another session's
 * frame, one of the other direction, out of turn, or altered on its way (tag.ts).
 */
import { Countdown } from "./countdown.ts";
import { FrameTags, NO_KEY, type Side, TAG_BYTES } from "./tag.ts";

export type Phase = "control" | "setup" | "offline" | "online";
const PHASES: readonly Phase[] = ["control", "setup", "offline", "online"];
const FIELD_BYTES = 24;
export const HEADER_BYTES = FIELD_BYTES + TAG_BYTES;
const SESSION_AT = 16;
const SESSION_BYTES = 8;
const JSON_LIMIT = 1 << 16;
const MAX_PAYLOAD = 2 ** 31;

/** Frames and their bytes, headers included. */
export interface Traffic {
  bytes: number;
  frames: number;
}
export type TrafficByPhase = Readonly<Record<Phase, Readonly<Traffic>>>;

/** The peer is lost, silent, or speaks out of turn. One line; never a payload. */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
  /** The message holds the peer's own words: not for logs. */
  readonly peersWords: boolean;

  constructor(
    message: string,
    { peersWords = false, ...options }: ErrorOptions & { readonly peersWords?: boolean } = {},
  ) {
    super(message, options);
    this.peersWords = peersWords;
  }
}

/** What moves bytes. */
export interface Wire {
  /** Resolves when the bytes have left this process or its buffers; `progress` is told how many whenever some have. */
  write(parts: readonly Uint8Array[], progress: (bytes: number) => void): Promise<void>;
  /** Stops and restarts the flow of chunks into the channel. */
  pause(): void;
  resume(): void;
  close(): void;
}

export interface ChannelOptions {
  /** Who is at the other end, for messages. */
  readonly peer: string;
  /** Milliseconds after which a peer that sends nothing to a receiver, or takes nothing from a sender, is given up. */
  readonly deadlineMs: number;
  readonly side: Side;
  /** Of frames' tags; none on connections that nobody protects. */
  readonly key?: Uint8Array;
  /** Fingerprints of both ends' keys; none without TLS. */
  readonly identities?: Identities;
  /** By whom what comes over this connection is counted (accounts.ts); nobody's unless given. */
  readonly account?: string;
  /** What this end sends takes as long as over this network; absent: as it comes. */
  readonly link?: Link;
}

/** Fingerprints of the keys that both ends have proved to hold. */
export interface Identities {
  readonly own: string;
  readonly peer: string;
}

/** A network between two machines, one way (shaped.ts). */
export interface Link {
  /** From sending to arrival, in milliseconds: half of a round trip. */
  readonly delayMs: number;
  readonly bytesPerSecond: number;
}

interface Expectation {
  readonly phase: Phase;
  readonly step: number;
  /** Exact length, or the most that is taken. */
  readonly length: number;
  readonly exact: boolean;
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

function emptyTraffic(): Record<Phase, Traffic> {
  const none = () => ({ bytes: 0, frames: 0 });
  return { control: none(), setup: none(), offline: none(), online: none() };
}

/** One end of a connection. Not for concurrent receivers: a party reads its messages in program order. */
export class Channel {
  readonly sent: TrafficByPhase = emptyTraffic();
  readonly received: TrafficByPhase = emptyTraffic();
  private readonly wire: Wire;
  private readonly options: ChannelOptions;
  private pending: Uint8Array[] = [];
  /** Chunks at the front of `pending` that are read already: taking them off one by one would cost their number's square. */
  private taken = 0;
  private readonly header = new Uint8Array(HEADER_BYTES);
  private headerFilled = 0;
  private payload: Uint8Array | null = null;
  private payloadFilled = 0;
  private sentSequence = 0;
  private receivedSequence = 0;
  private readonly sentTags: FrameTags;
  private readonly receivedTags: FrameTags;
  private session = new Uint8Array(SESSION_BYTES);
  private expected: Expectation | null = null;
  private timer: Countdown | null = null;
  private failure: Error | null = null;
  private watcher: ((reason: Error) => void) | null = null;
  private gone = false;
  private readonly sending = new Set<(reason: Error) => void>();
  private sendTimer: Countdown | null = null;
  private flights = 0;
  /** Bytes that have come or left, of frames that are not whole yet as well. */
  private crossed = 0;
  private lastFlight = -1;

  constructor(wire: Wire, options: ChannelOptions) {
    this.wire = wire;
    this.options = options;
    const key = options.key ?? NO_KEY;
    this.sentTags = new FrameTags(key, options.side);
    this.receivedTags = new FrameTags(key, other(options.side));
  }

  /** Fingerprints of both ends' keys; empty without TLS. */
  get identities(): Identities {
    return this.options.identities ?? { own: "", peer: "" };
  }

  /** Who is at the other end, for messages. */
  get peer(): string {
    return this.options.peer;
  }

  /** By whom a service counts what comes over this connection; empty where it counts nobody. */
  get account(): string {
    return this.options.account ?? "";
  }

  /** Bytes that have crossed so far, both ways. */
  get moved(): number {
    return this.crossed;
  }

  /**
   * From here on frames of both directions belong to this session: its first 8 bytes are in their headers. Both ends call it
   * between the same two frames; without a session frames are free again.
   */
  bind(session: Uint8Array = new Uint8Array(SESSION_BYTES)): void {
    this.session = session.slice(0, SESSION_BYTES);
  }

  /** One-way latencies of the online phase so far: frames of both directions with one step number are one flight. */
  get onlineFlights(): number {
    return this.flights;
  }

  /**
   * Sends one frame; `parts` follow each other without being joined and must stay as they are until the promise resolves.
   * @throws ChannelError when the channel is closed.
   */
  async send(phase: Phase, step: number, parts: readonly Uint8Array[]): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length >= MAX_PAYLOAD) throw new ChannelError(`a message of ${length} bytes is too long: use a shorter text`);
    const header = new Uint8Array(HEADER_BYTES);
    const view = new DataView(header.buffer);
    view.setUint32(0, length, true);
    view.setUint8(4, PHASES.indexOf(phase));
    view.setUint8(5, directionOf(this.options.side));
    view.setUint32(8, step, true);
    view.setUint32(12, this.sentSequence++, true);
    header.set(this.session, SESSION_AT);
    header.set(this.sentTags.next([header.subarray(0, FIELD_BYTES), ...parts]), FIELD_BYTES);
    this.count(this.sent[phase], phase, step, length);
    await this.written([header, ...parts]);
  }

  /** Ends with the channel too: a peer that reads nothing must not keep whoever sends to it. */
  private written(parts: readonly Uint8Array[]): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.sending.add(reject);
      // One for all that is being sent: who waits behind another makes progress with it.
      this.sendTimer ??= new Countdown(this.options.deadlineMs, () => this.stuck());
      const settle = () => {
        this.sending.delete(reject);
        if (this.sending.size > 0) return;
        this.sendTimer?.stop();
        this.sendTimer = null;
      };
      this.wire
        .write(parts, (bytes) => {
          this.crossed += bytes;
          this.sendTimer?.touch();
        })
        .then(resolve, reject)
        .finally(settle);
    });
  }

  private stuck(): void {
    const { peer, deadlineMs } = this.options;
    this.fail(`the ${peer} took nothing for ${deadlineMs / 1000} s: is it running? raise --deadline if it is slow`);
  }

  /**
   * The next frame, which must be of this phase and step and have exactly `length` payload bytes.
   * @throws ChannelError when it is another, when the peer closes, or when it is silent beyond the deadline.
   */
  receive(phase: Phase, step: number, length: number): Promise<Uint8Array> {
    return this.expect(phase, step, length, true);
  }

  async sendJson(step: number, value: unknown): Promise<void> {
    await this.send("control", step, [jsonBytes(value)]);
  }

  /** A control message of at most `limit` bytes. @throws ChannelError also when it is not JSON. */
  async receiveJson(step: number, limit = JSON_LIMIT): Promise<unknown> {
    const payload = await this.expect("control", step, limit, false);
    try {
      return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
    } catch (cause) {
      throw this.fail(`the ${this.options.peer} sent a control message that is not JSON: is it this program?`, cause);
    }
  }

  /** Tells the peer why, in one line, and ends the connection. */
  async refuse(why: string): Promise<void> {
    await this.sendJson(0, { error: why }).catch(() => {});
    this.close();
  }

  /** Whether nothing can be sent or received any more. */
  get closed(): boolean {
    return this.failure !== null;
  }

  /** Whether the peer has ended the connection between two frames. */
  get left(): boolean {
    return this.gone && this.headerFilled === 0;
  }

  /** Calls `gone` if the connection ends while nobody receives from it; the result stops that. */
  watch(gone: (reason: Error) => void): () => void {
    const { failure } = this;
    if (failure !== null) queueMicrotask(() => gone(failure));
    this.watcher = gone;
    // A paused wire would not hear of the end.
    this.wire.resume();
    return () => {
      this.watcher = null;
    };
  }

  /** Ends the connection: whoever waits gets `reason`. Without one, what was sent may still leave. */
  close(reason?: Error): void {
    if (reason !== undefined) this.end(reason);
    else this.end(new ChannelError(`the connection to the ${this.options.peer} is closed`), false);
  }

  /** For wires: bytes that came. */
  feed(chunk: Uint8Array): void {
    if (this.failure !== null) return;
    this.pending.push(chunk);
    this.crossed += chunk.length;
    this.timer?.touch();
    this.advance();
  }

  /** For wires: the peer closed or broke off. */
  disconnected(): void {
    this.gone = true;
    // What came before is still read.
    if (this.taken === this.pending.length) this.starved();
  }

  private starved(): void {
    if (!this.gone) return;
    const silent = this.receivedSequence === 0 && this.options.key === undefined;
    const hint = silent ? "does it ask for keys? see --server-key and --dealer-key" : "see its messages";
    this.fail(`the ${this.options.peer} closed the connection: ${hint}`);
  }

  private expect(phase: Phase, step: number, length: number, exact: boolean): Promise<Uint8Array> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.expected !== null) return Promise.reject(new ChannelError("two receivers on one channel"));
    return new Promise((resolve, reject) => {
      this.expected = { phase, step, length, exact, resolve, reject };
      this.timer = new Countdown(this.options.deadlineMs, () => this.late());
      this.wire.resume();
      this.advance();
    });
  }

  private late(): void {
    this.fail(
      `no answer from the ${this.options.peer} within ${this.options.deadlineMs / 1000} s: is it running? raise --deadline if it is slow`,
    );
  }

  /** Moves pending bytes into the frame being read, as far as a receiver waits for it. */
  private advance(): void {
    while (this.failure === null) {
      if (this.headerFilled < HEADER_BYTES) {
        this.headerFilled += this.take(this.header, this.headerFilled);
        if (this.headerFilled < HEADER_BYTES) return this.starved();
      }
      if (this.expected === null) return this.wire.pause();
      if (this.payload === null && !this.open(this.expected)) return;
      const payload = this.payload!;
      this.payloadFilled += this.take(payload, this.payloadFilled);
      if (this.payloadFilled < payload.length) return this.starved();
      this.deliver(payload);
    }
  }

  /** Checks the header against what is expected, and only then takes memory. */
  private open(expected: Expectation): boolean {
    const view = new DataView(this.header.buffer);
    const length = view.getUint32(0, true);
    const phase = PHASES[view.getUint8(4)];
    const [step, sequence] = [view.getUint32(8, true), view.getUint32(12, true)];
    const fits = expected.exact ? length === expected.length : length <= expected.length;
    const session = this.session.every((byte, i) => byte === this.header[SESSION_AT + i]);
    const direction = view.getUint8(5) === directionOf(other(this.options.side)) && view.getUint16(6) === 0;
    const inTurn = direction && sequence === this.receivedSequence;
    const wanted = phase === expected.phase && step === expected.step && fits && session;
    // A peer may give up in the middle of anything, also where it is not in the session yet, or no longer.
    const refusal = phase === "control" && length <= JSON_LIMIT && (expected.phase !== "control" || !session);
    if (!inTurn || !(wanted || refusal)) {
      this.fail(`the ${this.options.peer} sent another message than the protocol has here: are both the same release?`);
      return false;
    }
    if (!wanted) this.expected = { ...expected, resolve: (p) => this.refused(p, expected) };
    this.receivedSequence++;
    this.payload = new Uint8Array(length);
    this.payloadFilled = 0;
    this.count(this.received[phase!], phase!, step, length);
    return true;
  }

  private refused(payload: Uint8Array, expected: Expectation): void {
    let words = "no reason given";
    try {
      const message = JSON.parse(new TextDecoder().decode(payload)) as { error?: unknown };
      if (typeof message.error === "string") words = message.error.slice(0, 500).replace(/[^\x20-\x7e]/g, " ");
    } catch {
      // Not JSON: the peer's reason stays unknown.
    }
    const told = new ChannelError(`the ${this.options.peer} gave up: ${words}`, { peersWords: true });
    expected.reject(this.end(told));
  }

  private deliver(payload: Uint8Array): void {
    const tag = this.receivedTags.next([this.header.subarray(0, FIELD_BYTES), payload]);
    if (tag.some((byte, i) => byte !== this.header[FIELD_BYTES + i])) {
      this.fail(`what the ${this.options.peer} sent was altered on its way: ask again, over TLS`);
      return;
    }
    const { resolve } = this.expected!;
    this.expected = null;
    this.payload = null;
    this.headerFilled = 0;
    this.timer?.stop();
    this.timer = null;
    resolve(payload);
  }

  /** Copies from the pending chunks into `target` from `at`; returns how many bytes. */
  private take(target: Uint8Array, at: number): number {
    let copied = 0;
    while (at + copied < target.length && this.taken < this.pending.length) {
      const chunk = this.pending[this.taken];
      const count = Math.min(chunk.length, target.length - at - copied);
      target.set(chunk.subarray(0, count), at + copied);
      copied += count;
      if (count < chunk.length) this.pending[this.taken] = chunk.subarray(count);
      else this.taken++;
    }
    if (2 * this.taken >= this.pending.length) {
      this.pending = this.pending.slice(this.taken);
      this.taken = 0;
    }
    return copied;
  }

  private count(traffic: Traffic, phase: Phase, step: number, length: number): void {
    traffic.bytes += HEADER_BYTES + length;
    traffic.frames++;
    if (phase === "online" && step !== this.lastFlight) {
      this.lastFlight = step;
      this.flights++;
    }
  }

  private fail(message: string, cause?: unknown): Error {
    return this.end(new ChannelError(message, { cause }));
  }

  private end(reason: Error, cutting = true): Error {
    if (this.failure !== null) return this.failure;
    this.failure = reason;
    this.timer?.stop();
    this.pending = [];
    this.taken = 0;
    this.wire.close();
    const waiting = this.expected;
    this.expected = null;
    waiting?.reject(reason);
    if (cutting) for (const reject of this.sending) reject(reason);
    this.watcher?.(reason);
    return reason;
  }
}

/** A value as a control message's payload. */
export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function other(side: Side): Side {
  return side === "opener" ? "listener" : "opener";
}

function directionOf(from: Side): number {
  return from === "opener" ? 1 : 2;
}

/**
 * Framed messages between two parties, in order, counted (frame.ts has a frame's layout).
 *
 * A receiver says which frame it expects before memory is taken for it; anything else ends the channel: another session's
 * frame, one of the other direction, out of turn, or altered on its way (tag.ts).
 */
import { Chunks } from "./chunks.ts";
import { Countdown } from "./countdown.ts";
import {
  fieldsOf,
  HEADER_BYTES,
  hasTag,
  headerOf,
  isFrom,
  isOfSession,
  other,
  type Phase,
  SESSION_BYTES,
  setTag,
  taggedPart,
} from "./frame.ts";
import { Sending } from "./sending.ts";
import { FrameTags, NO_KEY, type Side } from "./tag.ts";
import { type TrafficByPhase, TrafficMeter } from "./traffic.ts";
import type { Wire } from "./wire.ts";

const JSON_LIMIT = 1 << 16;
const MAX_PAYLOAD = 2 ** 31;

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

/** One end of a connection. Not for concurrent receivers: a party reads its messages in program order. */
export class Channel {
  private readonly meter = new TrafficMeter();
  readonly sent: TrafficByPhase = this.meter.sent;
  readonly received: TrafficByPhase = this.meter.received;
  private readonly wire: Wire;
  private readonly options: ChannelOptions;
  private readonly sending: Sending;
  private readonly pending = new Chunks();
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
  /** Bytes that have come or left, of frames that are not whole yet as well. */
  private crossed = 0;

  constructor(wire: Wire, options: ChannelOptions) {
    this.wire = wire;
    this.options = options;
    this.sending = new Sending({
      wire,
      deadlineMs: options.deadlineMs,
      stuck: () => this.stuck(),
      left: (bytes) => {
        this.crossed += bytes;
      },
    });
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
    return this.meter.flights;
  }

  /**
   * Sends one frame; `parts` follow each other without being joined and must stay as they are until the promise resolves.
   * @throws ChannelError when the channel is closed.
   */
  async send(phase: Phase, step: number, parts: readonly Uint8Array[]): Promise<void> {
    if (this.failure !== null) throw this.failure;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length >= MAX_PAYLOAD) throw new ChannelError(`a message of ${length} bytes is too long: use a shorter text`);
    const fields = { length, phase, step, sequence: this.sentSequence++ };
    const header = headerOf(fields, this.options.side, this.session);
    setTag(header, this.sentTags.next([taggedPart(header), ...parts]));
    this.meter.count("sent", phase, step, length);
    await this.sending.write([header, ...parts]);
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
    if (this.pending.isEmpty) this.starved();
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
        this.headerFilled += this.pending.take(this.header, this.headerFilled);
        if (this.headerFilled < HEADER_BYTES) return this.starved();
      }
      if (this.expected === null) return this.wire.pause();
      if (this.payload === null && !this.open(this.expected)) return;
      const payload = this.payload!;
      this.payloadFilled += this.pending.take(payload, this.payloadFilled);
      if (this.payloadFilled < payload.length) return this.starved();
      this.deliver(payload);
    }
  }

  /** Checks the header against what is expected, and only then takes memory. */
  private open(expected: Expectation): boolean {
    const { length, phase, step, sequence } = fieldsOf(this.header);
    const fits = expected.exact ? length === expected.length : length <= expected.length;
    const session = isOfSession(this.header, this.session);
    const inTurn = isFrom(this.header, other(this.options.side)) && sequence === this.receivedSequence;
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
    this.meter.count("received", phase!, step, length);
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
    const tag = this.receivedTags.next([taggedPart(this.header), payload]);
    if (!hasTag(this.header, tag)) {
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

  private fail(message: string, cause?: unknown): Error {
    return this.end(new ChannelError(message, { cause }));
  }

  private end(reason: Error, cutting = true): Error {
    if (this.failure !== null) return this.failure;
    this.failure = reason;
    this.timer?.stop();
    this.pending.clear();
    this.wire.close();
    const waiting = this.expected;
    this.expected = null;
    waiting?.reject(reason);
    if (cutting) this.sending.cut(reason);
    this.watcher?.(reason);
    return reason;
  }
}

/** A value as a control message's payload. */
export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

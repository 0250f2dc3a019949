/** The dealer: takes both seeds of a session and the server's masked weights, and deals. It never sees a text. */

import type * as v from "valibot";
import { Admission, type Limits, type Place } from "../admission/admission.ts";
import { Quota } from "../admission/quota.ts";
import type { Channel } from "../channels/channel.ts";
import type { Program } from "../program/steps.ts";
import { portionsOf } from "../protocols/portions.ts";
import type { Ring } from "../ring/ring.ts";
import type { CompiledProgram } from "./compiling.ts";
import { Dealing } from "./dealing.ts";
import { type Log, lineForPeer } from "./events.ts";
import { KeptWeights } from "./kept-weights.ts";
import type { Meeting } from "./meeting.ts";
import { type accepted, PartyError, parse, toDealer } from "./messages.ts";
import type { Measured } from "./meter.ts";
import { Patience } from "./patience.ts";
import { Programs, type ProgramsOptions } from "./programs.ts";
import { serving, WHOLE_MS, within } from "./serving.ts";
import { boundTo, sessionId } from "./session.ts";
import { checkShape, type ShapeBounds } from "./shapes.ts";
import { digestOf } from "./weights.ts";

type Message = v.InferOutput<typeof toDealer>;
type FromServer = Extract<Message, { role: "server" }>;
type FromClient = Extract<Message, { role: "client" }>;

/** A server's side, while its session is dealt. */
type ServerSide = Pick<Waiting<FromServer>, "message" | "channel">;

/** One side of a session that waits for the other. */
interface Waiting<M> {
  readonly message: M;
  readonly channel: Channel;
  /** The other side has come. */
  readonly begun: () => void;
  readonly finish: (error?: Error) => void;
}

const MOST_WEIGHT_BYTES = 3 * 2 ** 30;
/** A side's message holds no more than a shape and a plan. */
const MOST_MESSAGE_BYTES = 1 << 20;
const MEETING_MS = 60_000;
/** Of one key: a server comes once for each of its clients, and waits here for those that do not. */
const CONNECTIONS_EACH = 256;
/** Sessions of several portions at once, in all and of one key: each keeps its masks while its run goes on. */
const SESSIONS = 64;
const SESSIONS_EACH = 32;
/**
 * Sides of sessions remembered, so that their material is not made again. A name holds both parties' fresh nonces: who would repeat an
 * older one must himself repeat a seed, which harms him alone.
 */
const REMEMBERED = 2 * 65_536;

/** The client's side as a session needs it, whichever process its connection is at. */
interface ClientSide {
  readonly message: FromClient;
  accept(): Promise<void>;
}

const ACCEPTED = { accepted: true } satisfies v.InferOutput<typeof accepted>;

export interface DealerOptions {
  /** Where sides meet that reach different processes; without it, all sessions meet in this one. */
  readonly meeting?: Meeting;
  readonly log?: Log;
  readonly limits?: Partial<Limits>;
  /** How programs are compiled, and how many are kept. */
  readonly programs?: Pick<ProgramsOptions<never>, "compile" | "limits">;
  /** The shapes that are dealt for. */
  readonly shapes?: ShapeBounds;
  /** Milliseconds that a server may keep one session waiting in all, beside what its bytes take on a slow network; a minute unless given. */
  readonly graceMs?: number;
  /** Milliseconds that one side of a session waits for the other; a minute unless given. */
  readonly meetingMs?: number;
  /** Bytes of masked weights kept from one session to the next; 3 GiB unless given, of the 4 that WebAssembly has. */
  readonly mostWeightBytes?: number;
  /** What each portion of a session took here. */
  readonly measured?: (phase: Measured) => void;
}

export class DealerService {
  private readonly ring: Ring;
  private readonly options: DealerOptions;
  private readonly servers = new Map<string, Waiting<FromServer>>();
  private readonly clients = new Map<string, Waiting<FromClient>>();
  private readonly weights: KeptWeights;
  private readonly programs: Programs<CompiledProgram>;
  private readonly seen = new Set<string>();
  /** Whose runs go on between two portions. */
  private readonly sessions = new Quota({
    most: SESSIONS,
    each: SESSIONS_EACH,
    full: `${SESSIONS} continuations are dealt for already: try again in a moment`,
    own: `${SESSIONS_EACH} continuations of yours are dealt for already: wait for one to end`,
  });
  private left: () => void = () => {};
  /** Sessions that are dealt now, those that wait, and who is refused. */
  readonly admission: Admission;

  constructor(ring: Ring, options: DealerOptions = {}) {
    this.ring = ring;
    this.options = options;
    this.weights = new KeptWeights(ring, options.mostWeightBytes ?? MOST_WEIGHT_BYTES);
    this.programs = new Programs({
      ...options.programs,
      mismatch: "the dealer compiles another program: install the same release everywhere",
      finish: async (compiled) => compiled,
    });
    this.admission = new Admission({ connectionsEach: CONNECTIONS_EACH, ...options.limits });
  }

  /** Masked weights in this process's memory. */
  get maskedWeights(): { readonly count: number; readonly bytes: number } {
    const { count, bytes } = this.weights;
    return { count, bytes };
  }

  /** Serves one connection: a server's or a client's side of one session. Ends when the session is dealt. */
  async serve(channel: Channel): Promise<void> {
    await serving(channel, this.admission, this.options.log, async () => {
      const unread = await channel.receiveJson(0, MOST_MESSAGE_BYTES);
      this.admission.hear(channel.account, channel.received.control.bytes);
      const message = parse(toDealer, unread, "peer");
      checkIdentities(message, channel);
      const id = await sessionId(message.session);
      await boundTo(channel, id, () => this.met(id, message, channel));
    });
  }

  /** Nothing begins any more; resolves when what is dealt has been dealt, and no run needs more. */
  async drain(): Promise<void> {
    await this.admission.drain();
    while (this.sessions.taken > 0)
      await new Promise<void>((resolve) => {
        this.left = resolve;
      });
  }

  /** Resolves when both sides of the session have come and it is dealt. */
  private met(session: string, message: Message, channel: Channel): Promise<void> {
    const { meeting } = this.options;
    if (meeting !== undefined) return this.metElsewhere(meeting, session, message, channel);
    return new Promise<void>((resolve, reject) => {
      const alone = (why: Error) => {
        (message.role === "server" ? this.servers : this.clients).delete(session);
        begun();
        reject(why);
      };
      const other = message.role === "server" ? "client" : "server";
      const late = () => alone(new PartyError(`the ${other}'s side of the session did not come in time`));
      const timer = setTimeout(late, this.options.meetingMs ?? MEETING_MS);
      // Whoever goes while he waits keeps no place.
      const unwatched = channel.watch(alone);
      const begun = () => {
        clearTimeout(timer);
        unwatched();
      };
      const finish = (error?: Error) => (error === undefined ? resolve() : reject(error));
      try {
        this.meet(session, message, { channel, begun, finish });
      } catch (error) {
        begun();
        reject(error);
      }
    });
  }

  private meet(session: string, message: Message, { channel, begun, finish }: Omit<Waiting<Message>, "message">): void {
    const mine = message.role === "server" ? this.servers : this.clients;
    if (mine.has(session) || this.seen.has(`${message.role}:${session}`))
      throw new PartyError("this session was dealt before: material is made once only");
    this.remember(`${message.role}:${session}`);
    if (message.role === "server") this.servers.set(session, { message, channel, begun, finish });
    else this.clients.set(session, { message, channel, begun, finish });
    const server = this.servers.get(session);
    const client = this.clients.get(session);
    if (server === undefined || client === undefined) return;
    this.servers.delete(session);
    this.clients.delete(session);
    for (const side of [server, client]) side.begun();
    const accept = () => client.channel.sendJson(0, ACCEPTED);
    this.inTime(server, { message: client.message, accept }).then(
      () => [server, client].map((s) => s.finish()),
      (error: Error) => [server, client].map((s) => s.finish(error)),
    );
  }

  /** Deals where the server's side is; the client's message comes there, and the answer goes back. */
  private async metElsewhere(meeting: Meeting, session: string, message: Message, channel: Channel): Promise<void> {
    if (message.role === "client") {
      await meeting.offer(session, JSON.stringify(message));
      return channel.sendJson(0, ACCEPTED);
    }
    const found = parse(toDealer, JSON.parse(await meeting.take(session)), "other dealer");
    if (found.role !== "client")
      throw new PartyError("another dealer process speaks otherwise: install the same release");
    try {
      await this.inTime({ message, channel }, { message: found, accept: () => meeting.answer(session) });
    } catch (error) {
      await meeting.answer(session, lineForPeer(error));
      throw error;
    }
  }

  private inTime(server: ServerSide, client: ClientSide): Promise<void> {
    return within(server.channel, WHOLE_MS, () => this.inTurns(server, client));
  }

  /** All portions of a session, each in a turn of its own: between them its server's run uses the one before. */
  private async inTurns(server: ServerSide, client: ClientSide): Promise<void> {
    const { channel } = server;
    let dealing: Dealing | null = null;
    try {
      do {
        const place = await this.admission.turn(channel.account, { goesOn: dealing !== null });
        try {
          dealing ??= await this.open(server, client, place);
          await this.portion(dealing, channel, place);
        } finally {
          place.end();
        }
      } while (!dealing.ended && (await dealing.isWanted()));
    } catch (error) {
      // A run that ended with its text leaves in the midst of a portion that it has no use for.
      if (dealing === null || dealing.portions === 0 || !(await dealing.isLeft())) throw error;
    } finally {
      dealing?.close();
    }
    this.options.log?.({ event: "dealt", ...dealing.dealt });
  }

  private remember(name: string): void {
    if (this.seen.size >= REMEMBERED) this.seen.delete(this.seen.values().next().value!);
    this.seen.add(name);
  }

  /** @throws PartyError when the parties have compiled another program than this one. */
  private async compiled({ model, shape, session }: FromServer, channel: Channel): Promise<CompiledProgram> {
    const { spec, plan } = model;
    checkShape(spec, shape, this.options.shapes);
    const key = await digestOf([spec, plan, shape]);
    const { account } = channel;
    return this.programs.of({ account, key, task: { spec, plan, shape }, fingerprint: session.program });
  }

  private async open({ message, channel }: ServerSide, client: ClientSide, place: Place): Promise<Dealing> {
    const { session, model, verify } = message;
    if (model.id !== session.model) throw new PartyError("the server names two models");
    place.pause();
    const { program } = await this.compiled(message, channel);
    const leave = this.enter(program, channel.account);
    try {
      await client.accept();
      return await Dealing.create({
        ring: this.ring,
        program,
        channel,
        weights: this.weights,
        // By the server's key too: nobody plants weights under another's model.
        owner: `${session.server}:${model.id}`,
        seeds: [client.message.seed, message.seed],
        verify,
        leave,
      });
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Counts a session of several portions; the result ends it. @throws Refused */
  private enter(program: Program, account: string): () => void {
    if (portionsOf(program).length === 1) return () => {};
    const end = this.sessions.take(account);
    return () => {
      end();
      this.left();
    };
  }

  private async portion(dealing: Dealing, channel: Channel, place: Place): Promise<void> {
    const [{ processor }, { account }] = [this.admission, channel];
    const shared = { processor, account, place, patience: new Patience(channel, this.options.graceMs) };
    const measured = await dealing.portion(shared);
    this.options.measured?.(measured);
  }
}

/** @throws PartyError for a session of other keys than the connection's. */
function checkIdentities({ role, session }: Message, channel: Channel): void {
  const { own, peer } = channel.identities;
  if (session.dealer !== own || session[role] !== peer)
    throw new PartyError("the session names other keys than this connection has: start all parties with keys, or none");
}

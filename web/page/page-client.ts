/** The MPC client of the page: tokenizer, shares, masks and answers live and stay with it, in the worker. */

import { ChannelError } from "../../src/channels/channel.ts";
import type { SigningKey } from "../../src/channels/signing.ts";
import { connectWeb } from "../../src/channels/websocket.ts";
import type { TextTokenizer } from "../../src/models/tokenizer.ts";
import { type Answer, type Asked, reading } from "../../src/parties/answer.ts";
import type { Client } from "../../src/parties/client.ts";
import type { PinnedAddress, PinnedParties } from "../../src/parties/connect.ts";
import { type ClientOptions, connectedTo, JudgingClient } from "../../src/parties/judging-client.ts";
import { PartyError } from "../../src/parties/messages.ts";
import type { SessionParts } from "../../src/parties/session.ts";
import type { Talk } from "../../src/parties/talk.ts";
import type { ThinClient, ThinRun } from "../../src/parties/thin.ts";
import { bucketFor } from "../../src/program/lengths.ts";
import { isDecoder, type ModelSpec, type TokenizedText } from "../../src/program/spec.ts";
import { oneTurn, PlanError } from "../../src/program/steps.ts";
import type { Ring } from "../../src/ring/ring.ts";
import type {
  Beginning,
  Calls,
  Classified,
  Continued,
  Happening,
  OpenedModel,
  Replied,
  Seen,
  SeenFlight,
} from "./messages.ts";

/** A peer that is silent for so long is given up. */
const DEADLINE_MS = 60_000;
/** Texts up to this length find their material ready: what most people type, and the same for all of them. */
const READY_TOKENS = 32;
/** Texts of one run. */
const TOGETHER = 8;
/** Tokens behind a conversation's first message, said and answered together. */
const POSITIONS = 96;
/** What is shown of the wire: flights, and bytes of each. */
const SHOWN_FLIGHTS = 12;
const SHOWN_BYTES = 32;

export type Tell = (happening: Happening) => void;

/** One page's client, connected when it is first needed and again after it was lost. */
export class PageClient {
  private readonly ring: Ring;
  private readonly key: SigningKey;
  private readonly parties: PinnedParties;
  private client: JudgingClient | null = null;
  private thin: ThinClient | null = null;
  private tell: Tell = () => {};
  private flights: SeenFlight[] = [];
  /** What crossed the wire online, of what was asked last. */
  private crossed = nothing();
  /** The last one that crossed. */
  private flight = -1;
  /** What the dealer was told for the material that is ready, and for the run at work. */
  private told: SessionParts[] = [];
  private isReady = false;
  private stopped = false;
  /** Whether a continuation waits for its first material, and whether it has given a word: later ones' is made as it goes on. */
  private isPreparing = false;
  private hasWord = false;
  private talk: Talk | null = null;

  constructor(ring: Ring, key: SigningKey, parties: PinnedParties) {
    this.ring = ring;
    this.key = key;
    this.parties = parties;
  }

  stop(): void {
    this.stopped = true;
    // Before the first word nobody who stops waits for material; behind it what was said stays said.
    if (this.isPreparing) this.client?.abort(stoppedEarly());
    else this.talk?.stop();
  }

  /** Something new was asked: what was stopped before is over. */
  resume(): void {
    this.stopped = false;
  }

  async opened(): Promise<OpenedModel> {
    const { spec, limit, tokenizer } = await this.connected();
    const kind = kindOf(spec, isDecoder(spec) && tokenizer !== null && (await chats(tokenizer)));
    const described = `${spec.architecture}, ${spec.layers} layers of ${spec.hidden}, ${spec.gelu} + ${spec.softmax}`;
    const { fingerprint } = this.key;
    const { labelNames: labels, layers } = spec;
    return { fingerprint, kind, scores: spec.answer === "scores", labels, layers, limit, described };
  }

  /** Makes material for texts of a usual length, so that the next one need not wait for it. */
  async warm(tell: Tell): Promise<void> {
    // Also when the server has let an idle connection go, and what was ready with it.
    if (this.isReady && this.client?.closed === false) return;
    await this.using(tell, async (client) => {
      if (isDecoder(client.spec)) return;
      this.told = [];
      await client.makeReady({ ...oneTurn(bucketFor(READY_TOKENS, client.limit)), anyLength: true });
      this.isReady = true;
    });
  }

  /** The text goes to helper and server in shares; no progress is heard of. */
  async classifyHelped(text: string): Promise<Classified> {
    const client = await this.thinClient();
    this.flights = [];
    let helper: Seen["helper"] = null;
    client.witness = (covered) => {
      helper = { bytes: covered.length, head: covered.slice(0, SHOWN_BYTES) };
    };
    const tokens = client.encode(text);
    const { bytes, ...run } = await client.infer(tokens);
    const seen = { tokens: this.piecesOf(client, tokens.ids), flights: [], dealer: [], helper };
    const answer = { ...reading(client.spec, run.logits, askedOf(client, text, tokens)), ...run, ...ownCosts(bytes) };
    return { answer, seen, ahead: false };
  }

  classify(text: string, tell: Tell): Promise<Classified> {
    return this.using(tell, async (client) => {
      const tokens = client.encode(text);
      const ahead = this.isReady && tokens.ids.length <= READY_TOKENS;
      this.begin(ahead);
      const run = await client.infer(tokens);
      const answer = { ...reading(client.spec, run.logits, askedOf(client, text, tokens)), ...run };
      return { answer, seen: this.seen(client, tokens.ids), ahead };
    });
  }

  /** Texts of one padded length run side by side. */
  classifyAll(texts: readonly string[], tell: Tell): Promise<{ answered: number }> {
    return this.using(tell, async (client) => {
      let answered = 0;
      for (const lines of groups(client, texts, tell)) {
        if (this.stopped) break;
        this.begin(false);
        try {
          const { logits } = await client.inferAll(lines.map(({ tokens }) => tokens));
          lines.forEach(({ line, tokens }, i) => {
            const read = reading(client.spec, logits[i], askedOf(client, texts[line], tokens));
            tell({ what: "line", line, answer: { ...read, logits: logits[i] } });
          });
          answered += lines.length;
        } catch (error) {
          // A void answer ends no connection. The other lines are asked about all the same: the server does not see which one was void.
          if (client.closed || !(error instanceof PartyError)) throw error;
          for (const { line } of lines) tell({ what: "line", line, error: togetherVoid(lines.length, error) });
        }
      }
      return { answered };
    });
  }

  generate({ prompt, maxTokens, temperature }: Calls["generate"]["asked"], tell: Tell): Promise<Continued> {
    return this.using(tell, async (any) => {
      const client = await continuing(any);
      this.begin(false);
      const tokens = client.encode(prompt);
      const stream = client.generate(tokens, { maxTokens, temperature, stop: () => this.stopped });
      if (this.stopped) throw stoppedEarly();
      this.isPreparing = true;
      for (let text = ""; ; ) {
        const step = await stream.next().finally(() => {
          this.isPreparing = false;
        });
        if (step.done === true) return { text: step.value.text, run: step.value, seen: this.seen(client, tokens.ids) };
        this.hasWord = true;
        text += step.value.text;
        tell({ what: "text", text });
      }
    });
  }

  /** Says something behind all that was said before, or begins. */
  say({ message, begins }: Calls["say"]["asked"], tell: Tell): Promise<Replied> {
    return this.using(tell, async (client) => {
      const talk = begins === null && this.talk !== null ? this.talk : await this.talkOf(begins);
      const told = this.told;
      this.begin(false);
      let text = "";
      let read: readonly number[] = [];
      const times: number[] = [];
      const show = (piece: string) => {
        this.hasWord = true;
        times.push(performance.now());
        text += piece;
        tell({ what: "text", text });
      };
      const heard = (ids: readonly number[]) => {
        read = ids;
      };
      if (this.stopped) throw stoppedEarly();
      const begun = performance.now();
      const { reply } = await talk.about(message, show, heard).finally(() => {
        this.isPreparing = false;
      });
      const seconds = (performance.now() - begun) / 1000;
      const secondsEach = times.length < 2 ? null : (times[times.length - 1] - times[0]) / 1000 / (times.length - 1);
      // A run that goes on asks the dealer for nothing.
      const length = this.told.length === 0 ? null : client.shapeFor([read.length]).length;
      if (length === null) this.told = told;
      return { reply, read: read.length, length, seconds, secondsEach, ...this.crossed, seen: this.seen(client, read) };
    });
  }

  private async talkOf(begins: Beginning | null): Promise<Talk> {
    await this.talk?.leave();
    // For who has a conversation alone: what runs a template is large.
    const [{ Talk }, { conversationText: write }] = await Promise.all([
      import("../../src/parties/talk.ts"),
      import("../../src/models/chat-template.ts"),
    ]);
    this.talk = new Talk(() => this.connected().then(continuing), { positions: POSITIONS, ...begins, write });
    return this.talk;
  }

  /** Forgets what was seen of the run before. */
  private begin(ahead: boolean): void {
    this.flights = [];
    this.crossed = nothing();
    this.flight = -1;
    this.hasWord = false;
    if (!ahead) this.told = [];
    this.isReady = false;
  }

  private seen(client: JudgingClient, ids: readonly number[]) {
    return { tokens: this.piecesOf(client, ids), flights: this.flights, dealer: this.told, helper: null };
  }

  private piecesOf({ tokenizer }: Pick<Client, "tokenizer">, ids: readonly number[]): string[] {
    return ids.map((id) => tokenizer!.pieceOf(id));
  }

  /** With a client that is connected; a connection that broke is made anew for the next call. */
  private async using<T>(tell: Tell, work: (client: JudgingClient) => Promise<T>): Promise<T> {
    const client = await this.connected();
    this.tell = tell;
    try {
      return await work(client);
    } catch (error) {
      if (client.closed) this.lost();
      throw error;
    }
  }

  private lost(): void {
    this.client = null;
    this.isReady = false;
  }

  private async connected(): Promise<JudgingClient> {
    if (this.client !== null && !this.client.closed) return this.client;
    this.lost();
    const { server } = this.parties;
    const channel = await this.dial("server", server);
    const options: ClientOptions = {
      model: server.model,
      connectDealer: () => this.dial("dealer", this.parties.dealer),
      progress: (phase, done, total, { label, group }) => {
        this.isPreparing = phase === "offline" && !this.hasWord && (this.isPreparing || this.talk !== null);
        this.tell({ what: "progress", phase, done, total, layer: layerOf(label), group });
      },
      witness: (flight, from, message) => {
        this.cross(flight, from, message.length);
        if (this.flights.length < SHOWN_FLIGHTS)
          this.flights.push({ flight, from, bytes: message.length, head: message.slice(0, SHOWN_BYTES) });
      },
      toldDealer: (session) => this.told.push(session),
    };
    this.client = await connectedTo(channel, server.model, async (greeted) => {
      // Most pages judge texts, and need not load what continues them.
      const Kind = isDecoder(greeted.model.spec) ? (await clientModule()).Client : JudgingClient;
      return new Kind(this.ring, channel, options, greeted);
    });
    return this.client;
  }

  private cross(flight: number, from: "client" | "server", bytes: number): void {
    if (flight !== this.flight) this.crossed.flights++;
    this.flight = flight;
    if (from === "client") this.crossed.sent += bytes;
    else this.crossed.received += bytes;
  }

  private async thinClient(): Promise<ThinClient> {
    if (this.thin !== null && !this.thin.closed) return this.thin;
    const { server, helper } = this.parties;
    if (helper === undefined) throw new PartyError("nobody offers to compute for this page");
    const { ThinClient } = await import("../../src/parties/thin.ts");
    const channel = await this.dial("server", server);
    this.thin = await ThinClient.connect(this.ring, channel, () => this.dial("helper", helper), server.model);
    return this.thin;
  }

  private dial(peer: "server" | "dealer" | "helper", { url, key }: PinnedAddress) {
    const at = new URL(url);
    at.protocol = at.protocol.replace(/^http/, "ws");
    const security = { key: this.key, trusts: (fingerprint: string) => fingerprint === key };
    return connectWeb(at.href, { peer, deadlineMs: DEADLINE_MS, security });
  }
}

function clientModule() {
  return import("../../src/parties/client.ts");
}

/** A client that can continue texts. @throws PartyError where the model judges them */
async function continuing(client: JudgingClient): Promise<Client> {
  const { Client } = await clientModule();
  if (client instanceof Client) return client;
  throw new PartyError("this model judges texts and does not continue them: load the page again");
}

const nothing = () => ({ flights: 0, sent: 0, received: 0 });

/** Whether a decoder's folder has a template for conversations. */
async function chats(tokenizer: TextTokenizer): Promise<boolean> {
  const { chatSource } = await import("../../src/models/chat-source.ts");
  return chatSource(tokenizer).source !== undefined;
}

/** What the page shows of this model. @throws Error for one that it has no place for */
function kindOf(spec: ModelSpec, chats: boolean): OpenedModel["kind"] {
  if (isDecoder(spec)) return chats ? "chat" : "text";
  if (spec.problem === "tokens") return "entities";
  if (spec.problem === "regression" && spec.labels === 1) return "value";
  if (spec.problem === "classification" || spec.problem === "labels") return "labels";
  throw new Error("this page judges whole texts: ask this server with mpcformer infer or with the library");
}

function askedOf({ tokenizer }: Pick<Client, "tokenizer">, text: string, encoded: TokenizedText): Asked {
  return { text, encoded, tokenizer };
}

/** What is told of each of the lines that were asked together. */
function togetherVoid(lines: number, { message }: PartyError): string {
  return lines === 1
    ? message
    : `one of ${lines} lines that were asked together has no answer, so none has: ${message}`;
}

function stoppedEarly(): PartyError {
  return new PartyError("stopped before the text went on");
}

/** What this browser sent and received of a run that it did not compute. */
function ownCosts({ sent, received }: ThinRun["bytes"]): Pick<Answer, "bytes" | "peakRssMb" | "spent"> {
  const offline = { dealer_to_server: 0, dealer_to_client: 0, client_to_server: 0, server_to_client: 0 };
  return {
    bytes: {
      online: { client_to_server: sent, server_to_client: received },
      offline,
      setup: { server_to_dealer: 0, server_to_client: 0 },
    },
    peakRssMb: { client: 0, server: 0, dealer: 0 },
    spent: {},
  };
}

/** "layer.0" of "layer.0.query". */
function layerOf(label: string): string {
  return /^[a-z]+\.\d+/.exec(label)?.[0] ?? label.split(".")[0];
}

interface Line {
  readonly line: number;
  readonly tokens: TokenizedText;
}

/** Lines of one padded length, `TOGETHER` at most; what is no text for the model is told at once. */
function* groups(client: JudgingClient, texts: readonly string[], tell: Tell): Generator<Line[]> {
  const byLength = new Map<number, Line[]>();
  for (const [line, text] of texts.entries()) {
    let tokens: TokenizedText;
    try {
      tokens = client.encode(text);
    } catch (error) {
      tell({ what: "line", line, error: wordsOf(error) });
      continue;
    }
    const length = bucketFor(tokens.ids.length, client.limit);
    const waiting = byLength.get(length) ?? [];
    byLength.set(length, waiting);
    waiting.push({ line, tokens });
    if (waiting.length === TOGETHER) yield waiting.splice(0);
  }
  for (const waiting of byLength.values()) if (waiting.length > 0) yield waiting;
}

/** Our own errors are written for people; others are faults, which the browser's console has. */
export function wordsOf(error: unknown): string {
  const ours = error instanceof ChannelError || error instanceof PartyError || error instanceof PlanError;
  if (ours || (error instanceof Error && error.constructor === Error)) return error.message;
  console.error(error);
  return "something went wrong in this page: reload it";
}

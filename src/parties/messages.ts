/** The control messages between the parties: validated on arrival, public but for the seeds. */
import * as v from "valibot";
import type { Channel } from "../channels/channel.ts";
import { specSchema } from "../models/spec-schema.ts";
import { KINDS, type Kind, type Plan } from "../program/plan.ts";
import type { ModelSpec } from "../program/spec.ts";
import type { Program, Shape } from "../program/steps.ts";
import { MOST_VERIFY } from "../protocols/verify/sampling.ts";
import { digestOf } from "./weights.ts";

/** Parties of different versions refuse each other: their programs could differ. */
export const PROTOCOL_VERSION = "mpcformer/0.8";

/** What is public of a served model. */
export interface PublicModel {
  /** Of everything that decides its answers (model-identity.ts). */
  readonly id: string;
  /** A salted hash of the weights. */
  readonly commitment: string;
  /** Digest of the public embedding tables; null where they are private. */
  readonly tables: string | null;
  readonly spec: ModelSpec;
  readonly plan: Plan;
}

const id = v.pipe(v.string(), v.regex(/^[0-9a-f]{32,64}$/));
const seed = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/));
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1 << 20));
/** Beyond this no value fits a ring of 64 bits, however few bits it keeps after the point. */
const LARGEST = 2 ** 62;
/** Bits after the point that weights may have: more would be weights below the smallest that a plan's ranges tell from zero. */
const MOST_EXPONENT = 60;
const bound = v.pipe(v.number(), v.finite(), v.minValue(-LARGEST), v.maxValue(LARGEST));
/** "layer.0.query.out", "layer.0.scores.head.3", "layer.0.sum.2.centred"; "embeddings.word". */
const planned = v.pipe(v.string(), v.regex(/^[a-z0-9]{1,40}(\.[a-z0-9]{1,40}){0,6}$/));

const after = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_EXPONENT));

/** Bits of a kind of values beyond the usual ones. */
const beyond = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(16));
const more = Object.fromEntries(KINDS.map((kind) => [kind, beyond])) as Record<Kind, typeof beyond>;

const plan = v.object({
  ranges: v.record(
    planned,
    v.pipe(
      v.tuple([bound, bound]),
      v.check(([lo, hi]) => lo <= hi, "a range's ends are in order"),
      v.readonly(),
    ),
  ),
  exponents: v.record(planned, v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_EXPONENT))),
  margin: v.pipe(v.number(), v.minValue(1), v.maxValue(1000)),
  precision: v.optional(
    v.object({ stream: after, norm: after, activation: after, finer: v.optional(v.partial(v.object(more))) }),
  ),
});

/** New tokens of one run, at most: its whole program is made ahead. */
export const MOST_TURNS = 1024;

const shape = v.object({
  length: v.pipe(count, v.maxValue(4096)),
  anyLength: v.boolean(),
  turns: v.pipe(count, v.maxValue(MOST_TURNS)),
  scoring: v.boolean(),
  temperature: v.pipe(v.number(), v.minValue(0), v.maxValue(100)),
  carried: v.boolean(),
  verified: v.boolean(),
});

const verifyOf = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_VERIFY));

export const planSchema = plan;
export const publicModel = v.object({ id, commitment: id, tables: v.nullable(id), spec: specSchema, plan });

/** Client to server, on connection. */
export const hello = v.object({
  version: v.literal(PROTOCOL_VERSION, "the client speaks another version: install the same release on both sides"),
});

/** Whether a message says that no request follows. */
export function isBye(message: unknown): boolean {
  return message !== null && typeof message === "object" && "bye" in message;
}

/** Server to client, in answer. */
export const welcome = v.object({
  version: v.literal(PROTOCOL_VERSION, "the server speaks another version: install the same release on both sides"),
  model: publicModel,
  tokenizer: v.record(v.string(), v.string()),
  // Of how many of a client's openings one is checked before an answer; 0: none.
  verify: verifyOf,
});

/** Texts of one run, at most: their material waits in memory. */
export const MOST_TEXTS = 64;

/**
 * Client to server. "session" makes material, "use" takes prepared material: either waits, for this connection, until "run"
 * takes all that waits, a text each, or "drop" forgets it.
 */
export const request = v.variant("request", [
  v.object({ request: v.literal("tables") }),
  v.object({
    request: v.literal("session"),
    shape,
    program: id,
    // Whether the server keeps its part, and whether all portions are made before the run: it makes the others as it needs them.
    prepare: v.boolean(),
    whole: v.boolean(),
    nonce: seed,
  }),
  v.object({ request: v.literal("use"), session: id, shape, program: id }),
  v.object({ request: v.literal("drop") }),
  // Of a thin client: the seed of the covers under which a helper brings its text to this session.
  v.object({ request: v.literal("lend"), session: id, seed }),
  v.object({ request: v.literal("run"), texts: v.pipe(count, v.maxValue(MOST_TEXTS)) }),
]);

/** Server to client: what was asked for can begin. */
export const granted = v.object({ nonce: seed, modelKey: seed });

/** A key's fingerprint; empty without TLS. */
const fingerprintOfKey = v.pipe(v.string(), v.regex(/^([0-9a-f]{64})?$/));
const session = v.object({
  version: v.literal(PROTOCOL_VERSION, "a party speaks another version: install the same release everywhere"),
  model: id,
  program: id,
  clientNonce: seed,
  serverNonce: seed,
  client: fingerprintOfKey,
  server: fingerprintOfKey,
  dealer: fingerprintOfKey,
});

/** Either party to the dealer. */
export const toDealer = v.variant("role", [
  v.object({ role: v.literal("client"), session, seed }),
  v.object({ role: v.literal("server"), session, shape, seed, model: publicModel, verify: verifyOf }),
]);

/** Dealer to server: the masked weights it does not have yet, by slot. */
export const missing = v.object({ missing: v.array(v.pipe(v.number(), v.integer(), v.minValue(0))) });

/** Of one portion: dealer to server when it is dealt, server to client when both have it. */
export const offlineReport = v.object({
  seconds: v.number(),
  dealer: v.object({ bytes: v.number(), setupBytes: v.number(), peakRssMb: v.number() }),
});
export type OfflineReport = v.InferOutput<typeof offlineReport>;

/** Thin client to helper; the helper's first words, the session in which it will carry, and what that took. */
export const carry = v.object({
  request: v.literal("carry"),
  length: v.pipe(count, v.maxValue(4096)),
  anyLength: v.boolean(),
  program: id,
});
export type Carry = v.InferOutput<typeof carry>;
export const helperWelcome = v.object({
  version: v.literal(PROTOCOL_VERSION, "the helper speaks another version: install the same release on both sides"),
});
export const carried = v.object({ session: id, model: id });
const seconds = v.pipe(v.number(), v.finite(), v.minValue(0));
export const helped = v.object({
  seconds: v.object({ online: seconds, offline: seconds }),
  flights: v.pipe(v.number(), v.integer(), v.minValue(0)),
});

/** Client to server between two turns, server to dealer between two portions: whether it goes on; or that it is to wait, again and again. */
const next = v.object({ next: v.union([v.boolean(), v.literal("wait")]) });

/** How often a peer is told to wait. */
export const WAIT_MS = 15_000;

/** The side that hears it. `waits` hears each time that the peer lets it wait. */
export async function goesOn(channel: Channel, waits: () => void = () => {}): Promise<boolean> {
  for (;;) {
    const { next: word } = parse(next, await channel.receiveJson(0), channel.peer);
    if (word !== "wait") return word;
    waits();
  }
}

/** Server to client before an answer: what the check's sums are drawn from, and of each text the openings in them, or all. */
export const challenge = v.object({
  seed,
  openings: v.array(v.nullable(v.array(v.pipe(v.number(), v.integer(), v.minValue(0))))),
});

/** Server to client after the answer. */
export const finished = v.object({ peakRssMb: v.number() });

export const accepted = v.object({ accepted: v.literal(true) });

/** A party's refusal, passed on as the other's error. */
const refusal = v.object({ error: v.pipe(v.string(), v.maxLength(500)) });

interface PartyErrorOptions extends ErrorOptions {
  readonly peersWords?: boolean;
}

export class PartyError extends Error {
  override readonly name: string = "PartyError";
  /** The message holds the peer's own words: not for logs. */
  readonly peersWords: boolean;

  constructor(message: string, { peersWords = false, cause }: PartyErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.peersWords = peersWords;
  }
}

/** A client opened what no honest one would: it gets nothing, and is counted. */
export class Deviation extends PartyError {
  override readonly name = "Deviation";

  constructor() {
    super("what was sent is not what the protocol says: there is no answer");
  }
}

/**
 * Validates a control message.
 * @throws PartyError with the peer's own words if it refused, else naming the field that is wrong.
 */
export function parse<S extends v.GenericSchema>(schema: S, message: unknown, peer: string): v.InferOutput<S> {
  const refused = v.safeParse(refusal, message);
  if (refused.success)
    throw new PartyError(`the ${peer} refused: ${refused.output.error.replace(/[^\x20-\x7e]/g, " ")}`, {
      peersWords: true,
    });
  const result = v.safeParse(schema, message);
  if (result.success) return result.output;
  const issue = result.issues[0];
  // Keys of a record are the peer's own words.
  const path = (issue.path ?? []).map(({ key }) => (/^\w{1,40}$/.test(String(key)) ? String(key) : "*")).join(".");
  throw new PartyError(
    `the ${peer} sent a message this version cannot read (${path === "" ? "whole" : path}: ${issue.type}): are both the same release?`,
  );
}

/** A program's fingerprint: parties whose programs differ in anything refuse each other. */
export function fingerprint({ reads: _reads, slack: _slack, ...agreed }: Program): Promise<string> {
  return digestOf(agreed);
}

/** A shape in words, for logs and people. */
export function described({ length, turns, scoring }: Shape): string {
  const text = `${scoring ? "every position of " : ""}a text of up to ${length} tokens`;
  return turns === 1 ? text : `${text} and up to ${turns} new ones`;
}

/**
 * What an operator's console is told: `GET /status` of the port that `--health` opens. The schema is the allow-list, checked before
 * every answer: numbers, fixed words and what all parties know of a model. No text, share, seed, weight or key has a place
 * in it; of clients it has their number alone.
 */
import * as v from "valibot";
import type { RefusalReason } from "../admission/quota.ts";
import type { FailureKind } from "../parties/events.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const words = v.pipe(v.string(), v.maxLength(200));
/** Milliseconds since 1970, by the service's clock. */
const time = count;

/** Bytes and multiplications of a part of a program, for one text; bytes without the headers of frames. */
const share = v.strictObject({
  name: words,
  toServer: count,
  toClient: count,
  offline: count,
  macs: count,
});

/** One padded length (and of a decoder, so many new tokens) that was compiled since the start. */
const compiled = v.strictObject({
  length: count,
  turns: count,
  scoring: v.boolean(),
  temperature: amount,
  flights: count,
  /** With the headers of frames. */
  toServer: count,
  toClient: count,
  /** All that comes to the server before a text. */
  offline: count,
  /** Once for the model: masked weights, to the dealer. */
  setup: count,
  macs: count,
  byLayer: v.array(share),
  byGroup: v.array(share),
  /** Texts whose material waits in the store; null without a store, and when it does not answer. */
  stock: v.nullable(count),
});

/** What every party may know of the model. */
const model = v.strictObject({
  name: words,
  architecture: words,
  /** What the stand-in of the feed-forward layers stands in for. */
  activation: v.picklist(["gelu", "silu"]),
  layers: count,
  hidden: count,
  heads: count,
  intermediate: count,
  vocabulary: count,
  /** The longest text, in tokens. */
  longest: count,
  problem: v.picklist(["classification", "labels", "regression", "tokens", "spans", "mask", "vector", "generation"]),
  labels: count,
  gelu: words,
  softmax: words,
  embedding: v.picklist(["public", "private"]),
  answer: v.picklist(["scores", "label"]),
  /** Room that the plan leaves beyond what calibration saw. */
  margin: amount,
});

const load = v.strictObject({
  running: count,
  waiting: count,
  connections: count,
  /** Keys that have work running or waiting; connections without a key are not among them. */
  keysAtWork: count,
  limits: v.strictObject({
    running: count,
    waiting: count,
    each: count,
    perMinute: count,
    connections: count,
    connectionsEach: count,
  }),
});

/** One phase of one session: how long it took here. */
const phase = v.strictObject({ at: time, phase: v.picklist(["offline", "online"]), seconds: amount });

const common = {
  release: words,
  now: time,
  uptimeSeconds: amount,
  /** Whether /readyz says so. */
  ready: v.boolean(),
  /** Of this process, in bytes. */
  memory: v.strictObject({ resident: count, peak: count }),
  load,
  /** Since the start. */
  done: v.strictObject({ runs: count, texts: count, prepared: count, dealt: count }),
  refused: v.strictObject({
    full: count,
    quota: count,
    rate: count,
    draining: count,
    deviations: count,
  } satisfies Record<RefusalReason, typeof count>),
  failed: v.strictObject({ channel: count, party: count, fault: count } satisfies Record<FailureKind, typeof count>),
  /** The latest, oldest first. */
  phases: v.array(phase),
  /** Whether /studies has a study. */
  studies: v.boolean(),
};

const server = v.strictObject({
  role: v.literal("server"),
  ...common,
  model,
  /** In memory, being made or waiting for its run. */
  material: v.strictObject({ bytes: count, most: count }),
  /** Whether there is a store of prepared material. */
  store: v.boolean(),
  compiled: v.array(compiled),
});

const dealer = v.strictObject({
  role: v.literal("dealer"),
  ...common,
  /** Masked weights of models, kept for the next session. */
  maskedWeights: v.strictObject({ count, bytes: count }),
});

const helper = v.strictObject({ role: v.literal("helper"), ...common });

export const statusSchema = v.variant("role", [server, dealer, helper]);

export type Status = v.InferOutput<typeof statusSchema>;
export type ServerStatus = v.InferOutput<typeof server>;
export type DealerStatus = v.InferOutput<typeof dealer>;
export type HelperStatus = v.InferOutput<typeof helper>;
export type CompiledLength = v.InferOutput<typeof compiled>;
export type CostShare = v.InferOutput<typeof share>;
export type Phase = v.InferOutput<typeof phase>;
/** What a status says of every service. */
export type Common = Pick<Status, keyof typeof common>;

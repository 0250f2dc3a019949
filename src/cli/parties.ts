/** `serve`, `deal`, `infer`, `prepare`: the three parties, each as a process. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Channel } from "../channels/channel.ts";
import { CHANNEL_PATH } from "../channels/web-listener.ts";
import type { Limits } from "../parties/admission.ts";
import type { Answer, Reading } from "../parties/answer.ts";
import { Client } from "../parties/client.ts";
import type { PinnedParties } from "../parties/connect.ts";
import { DealerService } from "../parties/dealer.ts";
import type { Witness } from "../parties/engine.ts";
import { described } from "../parties/messages.ts";
import { type Measured, stopwatch } from "../parties/meter.ts";
import type { BatchInference } from "../parties/run.ts";
import { ServerService } from "../parties/server.ts";
import { modelId } from "../parties/session.ts";
import type { Identity, MaterialStore } from "../parties/store.ts";
import { ThinClient } from "../parties/thin.ts";
import { bucketFor } from "../program/lengths.ts";
import { isDecoder, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import { oneTurn, type Shape } from "../program/steps.ts";
import { randomKey } from "../ring/prg.ts";
import { Secret } from "../ring/secret.ts";
import { floatMatmul } from "./float.ts";
import { pinnedForBrowsers } from "./keys.ts";
import { connect, listen, type NetworkOptions, ringOf } from "./network.ts";
import { type Console, listenForOperator } from "./operator.ts";
import { type ModelOptions, overridesOf, positive } from "./options.ts";
import { dealerStatus, serverStatus } from "./overview.ts";
import { openSource, readWeights, type Source } from "./source.ts";
import { openMeeting, openStore } from "./store.ts";
import { readStudies } from "./studies.ts";
import { Telemetry, type TelemetryOptions } from "./telemetry.ts";
import { formatBytes, Progress, print, printJson, UsageError } from "./terminal.ts";
import { type BrowserListener, type BrowserOptions, helperOf, listenForBrowsers, partyOf, webUrl } from "./web.ts";

interface Common extends NetworkOptions {
  readonly json?: boolean;
}

/** Of the commands that serve until they are stopped. */
export interface ServiceOptions extends Common, TelemetryOptions, BrowserOptions {
  readonly listen: string;
  readonly drain: string;
  readonly maxRunning?: string;
  readonly maxWaiting?: string;
  readonly perMinute?: string;
  readonly perKey?: string;
}

export interface ServeOptions extends ServiceOptions, ModelOptions {
  readonly dealer: string;
  readonly store?: string;
  readonly keepDays?: string;
  readonly warm?: string;
  readonly plan?: string;
  readonly maxMaterial?: string;
  /** Where browsers reach the dealer: with it the page is served too. */
  readonly dealerWeb?: string;
  /** Where they reach a helper, which the page offers then. */
  readonly helperWeb?: string;
  /** Results of a study, which the console shows. */
  readonly studies?: string;
}

/** Serves a model until it is stopped. */
export async function serve(name: string, options: ServeOptions): Promise<void> {
  const ring = await ringOf(options);
  const studies = await readStudies(options);
  const progress = new Progress(options.json ?? false);
  const matmul = await floatMatmul();
  const overrides = overridesOf(options);
  const source = await openSource(name, {
    overrides,
    calibration: options.calibrate,
    planPath: options.plan,
    length: options.warm === undefined ? undefined : Number(options.warm),
    matmul,
    progress: progress.of("calibrating"),
  });
  const store = await openStore(options, "server");
  const { id, key } = await identity(source, store);
  const telemetry = new Telemetry(options, options.json ?? false);
  keepClean(store, telemetry);
  const service = new ServerService(
    ring,
    {
      model: { id, spec: source.spec, plan: source.plan },
      modelKey: key,
      weights: onceThen(source.weights, () => readWeights(name, overrides)),
      tokenizer: source.tokenizerFiles,
    },
    {
      connectDealer: () => connect("dealer", options.dealer, options),
      store,
      log: telemetry.tell,
      limits: limitsOf(options),
      measured: measuredBy(options, telemetry),
      mostWaitingBytes: megabytes(options.maxMaterial, "--max-material"),
    },
  );
  telemetry.gauge(
    "mpcformer_material_bytes",
    "Material in memory, being made or waiting for its run.",
    () => service.materialBytes,
  );
  if (options.warm !== undefined) await service.warm(Number(options.warm));
  const has = { studies: studies !== null, store: store !== undefined };
  const { spec, plan } = source;
  await run(service, "client", telemetry, options, {
    what: `serving ${name} (embedding ${spec.embedding})`,
    page: await pageParties(options),
    shown: { status: serverStatus(service, telemetry, { name, spec, plan }, has), studies },
  });
}

/** What the page is told, where it is served. @throws UsageError */
async function pageParties(options: ServeOptions): Promise<PinnedParties | null> {
  if (options.dealerWeb === undefined) return null;
  if (options.web === undefined) throw new UsageError("--dealer-web is for the page: give --web host:port too");
  const { key } = await pinnedForBrowsers(options);
  const dealer = partyOf(options.dealerWeb, options.dealerKey, "dealer", "--dealer-web");
  const helper = helperOf(options.helperWeb, options.helperKey, "--helper-web");
  return { server: { url: `.${CHANNEL_PATH}`, key: key.fingerprint }, dealer, ...helper };
}

export function limitsOf({ maxRunning, maxWaiting, perMinute, perKey }: ServiceOptions): Partial<Limits> {
  return {
    ...(maxRunning === undefined ? {} : { running: positive(maxRunning, "--max-running") }),
    ...(maxWaiting === undefined ? {} : { waiting: positive(maxWaiting, "--max-waiting") }),
    ...(perMinute === undefined ? {} : { perMinute: positive(perMinute, "--per-minute") }),
    ...(perKey === undefined ? {} : { connectionsEach: positive(perKey, "--per-key") }),
  };
}

function megabytes(text: string | undefined, option: string): number | undefined {
  return text === undefined ? undefined : 1e6 * positive(text, option);
}

/** Listens until it is told to stop; then nothing begins, and what runs may end. */
export async function run(
  service: Pick<ServerService, "serve" | "drain" | "admission">,
  peer: "client" | "peer",
  telemetry: Telemetry,
  options: ServiceOptions,
  { what, page, shown }: { readonly what: string; readonly page: PinnedParties | null; readonly shown: Console },
): Promise<void> {
  const seconds = positive(options.drain, "--drain");
  telemetry.watch(service.admission);
  const health = await listenForOperator(options.health, telemetry, shown);
  const serveOne = (channel: Channel) => service.serve(channel);
  const listener = await listen(options.listen, peer, options, serveOne, telemetry.explain);
  const browsers = await browsersOf(options, peer, (c) => void serveOne(c).catch(telemetry.explain), page);
  telemetry.setReady(true);
  const { host, port } = listener.address;
  if (options.json)
    printJson({
      listening: { host, port },
      ...(health === null ? {} : { health }),
      ...(browsers === null ? {} : { web: browsers.address }),
    });
  else {
    print(`${what} on ${host}:${port}, until Ctrl+C`);
    if (browsers !== null) print(`${page === null ? "for browsers" : "the page"} at ${webUrl(browsers)}`);
  }
  let asked = false;
  const stop = () => {
    // Asked twice: at once.
    if (asked) process.exit(1);
    asked = true;
    telemetry.setReady(false);
    listener.stop();
    browsers?.stop();
    const late = setTimeout(() => process.exit(0), seconds * 1000);
    service
      .drain()
      .then(() => {
        browsers?.close();
        return listener.close();
      })
      .catch(telemetry.explain)
      .finally(() => {
        clearTimeout(late);
        process.exit(0);
      });
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
}

async function browsersOf(
  options: ServiceOptions,
  peer: "client" | "peer",
  onChannel: (channel: Channel) => void,
  page: PinnedParties | null,
): Promise<BrowserListener | null> {
  const { web } = options;
  return web === undefined ? null : listenForBrowsers({ ...options, web }, peer, onChannel, page);
}

/** What another process had claimed or half written when it ended is burnt once it is old enough to tell. */
function keepClean(store: MaterialStore | undefined, telemetry: Telemetry): void {
  if (store !== undefined) setInterval(() => void store.burnLeftovers().catch(telemetry.explain), 60_000).unref();
}

/** Hands `first` out once and lets it go; after that it is read again. */
function onceThen<T>(first: T, again: () => Promise<T>): () => Promise<T> {
  let held: T | null = first;
  return async () => {
    const one = held ?? (await again());
    held = null;
    return one;
  };
}

export interface DealOptions extends ServiceOptions {
  readonly meet?: string;
  readonly maxWeights?: string;
}

export async function deal(options: DealOptions): Promise<void> {
  const telemetry = new Telemetry(options, options.json ?? false);
  const service = new DealerService(await ringOf(options), {
    meeting: await openMeeting(options),
    log: telemetry.tell,
    limits: limitsOf(options),
    measured: measuredBy(options, telemetry),
    mostWeightBytes: megabytes(options.maxWeights, "--max-weights"),
  });
  telemetry.gauge("mpcformer_weight_bytes", "Masked weights that are kept.", () => service.maskedWeights.bytes);
  const shown = { status: dealerStatus(service, telemetry), studies: null };
  await run(service, "peer", telemetry, options, { what: "dealing", page: null, shown });
}

/** Keeps what each phase took for the console; machines that start a party read it too. */
function measuredBy(options: Common, telemetry: Telemetry): (measured: Measured) => void {
  return (measured) => {
    telemetry.activity.measured(measured);
    if (options.json) printJson({ measured });
  };
}

/**
 * The model's public name and the key of R. They live as long as the process; with a store, as long as the model does not
 * change, and every process with that store has the same: prepared material depends on R, and under one R the dealer would
 * see what two versions differ by.
 */
export async function identity(
  source: Pick<Source, "fingerprint">,
  store: MaterialStore | undefined,
): Promise<Identity> {
  // Asked for once: it reads every weight.
  const fingerprint = source.fingerprint();
  const fresh = { id: await modelId(randomKey(), fingerprint), key: new Secret(randomKey()) };
  return store === undefined ? fresh : store.identity(createHash("sha256").update(fingerprint).digest("hex"), fresh);
}

/** Options of the commands that ask. */
export interface PeerOptions extends Common {
  readonly server: string;
  readonly dealer: string;
  /** Of those that have a store. */
  readonly keepDays?: string;
}

export interface InferOptions extends PeerOptions {
  readonly file?: string;
  readonly pair?: string;
  /** A file of texts as token ids, that run side by side; and how often. For measuring. */
  readonly ids?: string;
  readonly runs?: string;
  readonly store?: string;
  readonly ahead?: string;
  /** Where somebody computes for this client. */
  readonly helper?: string;
}

/** Connects to a server; progress is shown for both phases. */
export async function openClient(
  options: PeerOptions & { readonly store?: string },
  progress: Progress,
  witness?: Witness,
): Promise<Client> {
  const bars = { offline: progress.of("preparing"), online: progress.of("computing") };
  return Client.connect(await ringOf(options), await connect("server", options.server, options), {
    connectDealer: () => connect("dealer", options.dealer, options),
    store: await openStore(options, "client"),
    progress: (phase, done, total) => bars[phase](done, total),
    witness,
  });
}

/** Asks one private question. */
export async function infer(text: string | undefined, options: InferOptions): Promise<void> {
  if (options.ahead !== undefined && options.store === undefined)
    throw new UsageError("--ahead keeps material in a store: give --store DIR as well");
  const progress = new Progress(options.json ?? false);
  if (options.ids !== undefined) return inferIds(options.ids, options, progress);
  const given = await textOf(text, options);
  if (options.helper !== undefined) return inferThin(given, { ...options, helper: options.helper });
  const client = await openClient(options, progress);
  try {
    if (isDecoder(client.spec)) throw new UsageError("this server continues texts: use mpcformer generate");
    const result = await client.classify(given, options.pair);
    progress.stop();
    if (options.json) printJson(result);
    else printAnswer(result, client.spec);
    if (options.ahead !== undefined)
      await client.prepareUpTo(oneTurn(result.length), positive(options.ahead, "--ahead"));
  } finally {
    progress.stop();
    await client.close();
  }
}

/** The same through a helper: the text is shared between it and the server, and nothing is computed here. */
async function inferThin(text: string, options: InferOptions & { readonly helper: string }): Promise<void> {
  if (options.store !== undefined || options.ahead !== undefined)
    throw new UsageError("the material is the helper's: leave --store and --ahead to it");
  const server = await connect("server", options.server, options);
  const connectHelper = () => connect("helper", options.helper, options);
  const client = await ThinClient.connect(await ringOf(options), server, connectHelper);
  try {
    const result = await client.classify(text, options.pair);
    if (options.json) return printJson(result);
    printReading(result, client.spec);
    print(`time of the helper: ${timesOf(result)}`);
    print(`here: ${formatBytes(result.bytes.sent)} sent, ${formatBytes(result.bytes.received)} received`);
  } finally {
    await client.close();
  }
}

/** The text given, or that of --file. @throws UsageError for neither and both. */
export async function textOf(text: string | undefined, options: { readonly file?: string }): Promise<string> {
  if ((text === undefined) === (options.file === undefined)) throw new UsageError("give a text, or --file F");
  if (text !== undefined) return text;
  try {
    return (await readFile(options.file!, "utf8")).trim();
  } catch {
    throw new UsageError(`cannot read ${options.file}: give the path of a text file`);
  }
}

/** One run of a bench, and this process's own time in it. */
export interface MeasuredRun extends BatchInference {
  readonly cpuSeconds: { readonly client: number };
}

async function inferIds(path: string, options: InferOptions, progress: Progress): Promise<void> {
  const texts = JSON.parse(await readFile(path, "utf8")) as TokenizedText[];
  const client = await openClient(options, progress);
  try {
    const runs: MeasuredRun[] = [];
    for (let i = 0; i < Number(options.runs ?? 1); i++) {
      const measured = stopwatch("online");
      const run = await client.inferAll(texts, texts[0].ids.length);
      runs.push({ ...run, cpuSeconds: { client: measured().cpuSeconds } });
    }
    printJson(runs);
  } finally {
    await client.close();
  }
}

function printReading(result: Reading, spec: ModelSpec): void {
  if (result.value !== undefined) print(`value: ${result.value.toFixed(4)}`);
  else {
    print(`label: ${result.label}`);
    if (result.scores)
      print(`scores: ${result.scores.map((p, i) => `${spec.labelNames[i] ?? i} ${(100 * p).toFixed(1)}%`).join(", ")}`);
  }
}

const timesOf = ({ seconds }: Pick<Answer, "seconds">) =>
  `${seconds.online.toFixed(2)} s online, ${seconds.offline.toFixed(2)} s offline before it`;

export function printAnswer(result: Answer, spec: ModelSpec): void {
  printReading(result, spec);
  const { online, offline } = result.bytes;
  print(`time: ${timesOf(result)}`);
  print(
    `online: ${result.flights} flights, ${formatBytes(online.client_to_server)} to the server, ${formatBytes(online.server_to_client)} back`,
  );
  print(
    `offline: ${formatBytes(offline.dealer_to_server)} dealer to server, ${formatBytes(offline.client_to_server)} client to server, nothing to the client`,
  );
}

export interface PrepareOptions extends PeerOptions {
  readonly store: string;
  readonly tokens: string;
  /** Of a decoder: new tokens, at most. */
  readonly maxTokens: string;
  readonly temperature?: string;
  readonly count: string;
}

function preparedShape(client: Client, options: PrepareOptions): Shape {
  const tokens = positive(options.tokens, "--tokens");
  if (!isDecoder(client.spec)) return oneTurn(bucketFor(tokens, client.limit));
  const temperature = options.temperature === undefined ? undefined : Number(options.temperature);
  return client.generationShape(tokens, { maxTokens: positive(options.maxTokens, "--max-tokens"), temperature });
}

/** Makes material ahead of time for texts of up to so many tokens. */
export async function prepare(options: PrepareOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const count = Number(options.count);
  if (!(Number.isInteger(count) && count > 0)) throw new UsageError("--count takes a number from 1");
  const client = await openClient(options, progress);
  try {
    const shape = preparedShape(client, options);
    for (let i = 0; i < count; i++) await client.prepare(shape);
    const stock = await client.prepared(shape);
    progress.stop();
    if (options.json) printJson({ length: shape.length, new_tokens: shape.turns, prepared: stock });
    else print(`prepared: ${stock} times ${described(shape)}`);
  } finally {
    progress.stop();
    await client.close();
  }
}

/** `serve`: a model for clients to ask. */
import { type Command, Option } from "commander";
import { CHANNEL_PATH } from "../../channels/web-listener.ts";
import type { PinnedParties } from "../../parties/connect.ts";
import { ServerService } from "../../parties/server.ts";
import { lengthsOf } from "../../parties/shapes.ts";
import type { Verify } from "../../protocols/verify/sampling.ts";
import type { MaterialStore } from "../../stores/store.ts";
import { helperOf, partyOf } from "../browsers.ts";
import { UsageError } from "../failure.ts";
import { inFile, pinnedForBrowsers } from "../keys.ts";
import { connect, ringOf } from "../network.ts";
import {
  approximate,
  keepDays,
  link,
  MODEL,
  type ModelOptions,
  output,
  type ServiceOptions,
  type ShapeOptions,
  type StoreOptions,
  service,
  shapes,
} from "../options.ts";
import { serverStatus } from "../overview.ts";
import { dealerAddress, profileOf, takesProfile } from "../profile.ts";
import { Progress } from "../progress.ts";
import { DEFAULT_VERIFY, servedModel } from "../served.ts";
import { compilingOf, limitsOf, measuredBy, partOfMemory, run } from "../service.ts";
import { openStore } from "../store.ts";
import { readStudies } from "../studies.ts";
import { Telemetry } from "../telemetry.ts";
import { address, verified, whole } from "../values.ts";

interface ServeOptions extends ServiceOptions, ModelOptions, StoreOptions, ShapeOptions {
  readonly dealer: string;
  readonly warm?: number;
  readonly plan?: string;
  /** Of how many openings one is checked. */
  readonly verify?: Verify;
  readonly strikes?: number;
  /** File of the keys that may make runs. */
  readonly sessionsFor?: string;
  /** Megabytes. */
  readonly maxMaterial?: number;
  /** Megabytes. */
  readonly maxStock?: number;
  /** Where browsers reach the dealer: with it the page is served too. */
  readonly dealerWeb?: string;
  /** Where they reach a helper, which the page offers then. */
  readonly helperWeb?: string;
  /** Results of a study, which the console shows. */
  readonly studies?: string;
}

export function addServe(program: Command): void {
  const serving = program.command("serve").description("serve a model to clients").argument("<model>", MODEL);
  const command = takesProfile(serving, "dealer")
    .addOption(address("--listen <address>", "host:port to listen at").default("127.0.0.1:7700"))
    .addOption(address("--dealer <address>", "host:port of the dealer").default("127.0.0.1:7701"))
    .option("--dealer-key <fingerprint>", "the dealer's key, as its operator tells it")
    .option("--dealer-web <url>", "where browsers reach the dealer: --web has the page then, and not channels alone")
    .option("--helper-web <url>", "where browsers reach a helper, which the page offers to phones then")
    .option("--helper-key <fingerprint>", "the helper's key, as its operator tells it")
    .option("--peers <file>", "fingerprints of the clients who may ask, one a line (default: whoever has a key)")
    .option(
      "--sessions-for <file>",
      "fingerprints of the helpers who alone may make runs, one a line; other clients ask through them (default: everybody)",
    )
    .addOption(verified("check before each answer what a client opened", DEFAULT_VERIFY))
    .addOption(whole("--strikes <n>", "failed checks until a client's key is shut out (default: 3)"))
    .option(
      "--store <where>",
      "keep prepared material in this folder, or at redis://host:port/db, until it is used, once",
    )
    .addOption(keepDays())
    .addOption(
      whole(
        "--max-material <MB>",
        "material in memory, being made or waiting; half of it for one key (default: half of the machine's memory)",
      ),
    )
    .addOption(
      whole(
        "--max-stock <MB>",
        "prepared material that --store keeps for one key (default: a quarter of the machine's memory)",
      ),
    )
    .addOption(whole("--warm <length>", "compile this padded length before listening"))
    .option("--studies <file>", "results.json of mpcformer study, for the console to show (needs --health)")
    .addOption(new Option("--plan <file>").hideHelp())
    .addOption(link());
  output(shapes(service(approximate(command)))).action(serve);
}

/** Serves a model until it is stopped. */
async function serve(name: string, options: ServeOptions): Promise<void> {
  const ring = await ringOf(options);
  const studies = await readStudies(options);
  const store = await openStore(options, "server");
  const served = await servedModel(name, options, new Progress(options.json ?? false), store);
  const { model } = served;
  const { spec, plan } = model;
  const telemetry = new Telemetry(options);
  keepClean(store, telemetry);
  const party = new ServerService(ring, served, {
    connectDealer: () => connect("dealer", options.dealer, options),
    store,
    log: telemetry.tell,
    ...compilingOf(options),
    verify: options.verify ?? DEFAULT_VERIFY,
    strikes: options.strikes,
    runs: await runsOf(options),
    limits: limitsOf(options),
    measured: measuredBy(options, telemetry),
    mostStockBytes: options.maxStock === undefined ? partOfMemory(0.25) : 1e6 * options.maxStock,
    mostWaitingBytes: options.maxMaterial === undefined ? partOfMemory(0.5) : 1e6 * options.maxMaterial,
  });
  telemetry.gauge(
    "mpcformer_material_bytes",
    "Material in memory, being made or waiting for its run.",
    () => party.materialBytes,
  );
  if (options.warm !== undefined) await party.warm(options.warm);
  const has = { studies: studies !== null, store: store !== undefined };
  await run(party, "client", telemetry, options, {
    model: model.id,
    what: `serving ${name} (embedding ${spec.embedding})`,
    page: await pageParties(options, model.id),
    shown: { status: serverStatus(party, telemetry, { name, spec, plan }, has), studies },
    profile: (own) =>
      profileOf({
        server: { ...own, model: model.id },
        dealer: dealerAddress(options),
        lengths: [...new Set(options.lengths ?? lengthsOf(spec))].sort((a, b) => a - b),
      }),
  });
}

/** Who may make runs; undefined: everybody. @throws UsageError */
async function runsOf(options: ServeOptions): Promise<((fingerprint: string) => boolean) | undefined> {
  const { sessionsFor } = options;
  return sessionsFor === undefined ? undefined : inFile(sessionsFor, "--sessions-for", options);
}

/** What the page is told, where it is served: an open page asks no other model than it was opened with. @throws UsageError */
async function pageParties(options: ServeOptions, model: string): Promise<PinnedParties | null> {
  if (options.dealerWeb === undefined) return null;
  if (options.web === undefined) throw new UsageError("--dealer-web is for the page: give --web host:port too");
  const { key } = await pinnedForBrowsers(options);
  const dealer = partyOf(options.dealerWeb, options.dealerKey, "dealer", "--dealer-web");
  const helper = helperOf(options.helperWeb, options.helperKey, "--helper-web");
  return { server: { url: `.${CHANNEL_PATH}`, key: key.fingerprint, model }, dealer, ...helper };
}

/** What another process had claimed or half written when it ended is burnt once it is old enough to tell. */
function keepClean(store: MaterialStore | undefined, telemetry: Telemetry): void {
  if (store !== undefined) setInterval(() => void store.burnLeftovers().catch(telemetry.explain), 60_000).unref();
}

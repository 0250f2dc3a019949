/** Options that several commands share: how they are written, what they take, and what a handler gets of them. */
import { type Command, Option } from "commander";
import type { ApproximationKind } from "../approximations/approximation.ts";
import { gelu, list, silu, softmax } from "../approximations/registry.ts";
import type { SpecOverrides } from "../models/config.ts";
import { BUCKETS } from "../program/lengths.ts";
import { TASKS } from "../tasks/tasks.ts";
import { UsageError } from "./failure.ts";
import type { KeyOptions } from "./keys.ts";
import { MODEL_NAMES, SHIPPED_NAMES } from "./named.ts";
import { takesProfile } from "./profile.ts";
import { address, decimal, whole, wholes } from "./values.ts";

/** What a command's argument `<model>` may be: with weights, or a shape alone as well. */
export const MODEL = `a Hugging Face folder, a .gguf file, ${SHIPPED_NAMES}`;
export const SHAPE = `a Hugging Face folder, a .gguf file, or one of ${MODEL_NAMES}`;

export interface OutputOptions {
  readonly json?: boolean;
  /** Of commands that work long: progress beside --json. */
  readonly progress?: boolean;
}

/** Of every command: what it prints. */
export function output(command: Command): Command {
  return command.optionsGroup("Output:").option("--json", "print JSON for machines; errors too, on stderr");
}

/** Of a command that works long. */
export function outputWithProgress(command: Command): Command {
  return output(command).option("--progress", "show progress beside --json");
}

/** Machines see no progress, unless they ask for it. */
export function isQuiet(options: OutputOptions): boolean {
  return (options.json ?? false) && !(options.progress ?? false);
}

/** Options of every command that opens a model. */
export interface ModelOptions {
  readonly gelu?: string;
  readonly softmax?: string;
  readonly embedding?: "private" | "public";
  readonly answer?: "scores" | "label";
  readonly calibrate?: string;
}

/** The names of a kind's approximations, as they are written. */
function namesOf(kind: ApproximationKind): string {
  return list(kind)
    .map(({ name, parameter }) => (parameter === undefined ? name : `${name}[:${parameter}]`))
    .join(", ");
}

/** A name that one of the registry's kinds has. @throws UsageError */
function known(text: string, finds: readonly ((name: string) => unknown)[]): string {
  const reasons: unknown[] = [];
  for (const find of finds) {
    try {
      find(text);
      return text;
    } catch (error) {
      reasons.push(error);
    }
  }
  throw new UsageError((reasons[0] as Error).message, { cause: reasons[0] });
}

/** The stand-ins of a model; without `defaults`, those that its folder or shape names. */
export function standIns(command: Command, defaults?: { readonly gelu: string; readonly softmax: string }): Command {
  const unless = (shape: string) =>
    defaults === undefined ? ` (default: the folder's; ${shape} for a named shape)` : "";
  const activation = `approximation of GeLU: ${namesOf("gelu")}; for Llama's SiLU: ${namesOf("silu")}`;
  return command
    .addOption(
      new Option("--gelu <name>", activation + unless("quad"))
        .argParser((text: string) => known(text, [gelu, silu]))
        .default(defaults?.gelu),
    )
    .addOption(
      new Option("--softmax <name>", `approximation of softmax: ${namesOf("softmax")}${unless("2quad")}`)
        .argParser((text: string) => known(text, [softmax]))
        .default(defaults?.softmax),
    );
}

const embedding = () =>
  new Option(
    "--embedding <mode>",
    "private: the tables stay with the server; public: the client gets them (default: the folder's; or private)",
  ).choices(["private", "public"]);
const answer = () =>
  new Option(
    "--answer <what>",
    "what the client learns: scores, or the label alone (default: the folder's; or scores)",
  ).choices(["scores", "label"]);

/** How a model hides its tables and what it answers. */
export function disclosure(command: Command): Command {
  return command.addOption(embedding()).addOption(answer());
}

/** How a model is computed. */
export function approximate(command: Command): Command {
  return disclosure(standIns(command.optionsGroup("Model:"))).option(
    "--calibrate <file>",
    "texts, one a line, that set the ranges (default: the folder's plan, or texts that ship)",
  );
}

export function overridesOf({ gelu, softmax, embedding, answer }: ModelOptions): SpecOverrides {
  return {
    ...(answer === undefined ? {} : { answer }),
    ...(gelu === undefined ? {} : { gelu }),
    ...(softmax === undefined ? {} : { softmax }),
    ...(embedding === undefined ? {} : { embedding }),
  };
}

/** A model's options, as a server of it takes them. */
export function modelFlags(options: ModelOptions): string[] {
  return (["gelu", "softmax", "embedding", "answer", "calibrate"] as const).flatMap((f) =>
    options[f] === undefined ? [] : [`--${f}`, options[f]],
  );
}

export interface NetworkOptions extends KeyOptions {
  /** Seconds without a byte after which the peer counts as lost. */
  readonly deadline: number;
  readonly plaintext?: boolean;
  /** Of the channel between client and server: "one-way milliseconds,Mbit/s". Measuring only. */
  readonly link?: string;
  /** Of this party's own computing; 1 unless told. */
  readonly threads?: number;
}

/** Seconds after which a silent peer is given up, unless told. */
const DEADLINE_SECONDS = 120;

/** When a silent peer is given up: on a busy machine a large model makes its peers wait. */
export function deadline(): Option {
  const option = decimal("--deadline <seconds>", "give a silent peer up after this time", 1e-3, 86_400, "seconds");
  return option.default(DEADLINE_SECONDS);
}

/** Of every party. */
export function network(command: Command): Command {
  return command
    .optionsGroup("Network:")
    .addOption(deadline())
    .addOption(whole("--threads <n>", "threads of this party").default(1))
    .option("--plaintext", "allow unencrypted channels beyond this machine")
    .option("--key <dir>", "this party's key (mpcformer keys): all channels are TLS then");
}

/** Of the commands that serve until they are stopped. */
export interface ServiceOptions extends NetworkOptions, OutputOptions {
  readonly listen: string;
  /** A file for the service's profile. */
  readonly profile?: string;
  /** host:port by which others reach this service; as it listens unless given. */
  readonly public?: string;
  /** host:port for browsers; none without. */
  readonly web?: string;
  /** PEM files, for https: and wss:. */
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  /** By which browsers know this machine, beside addresses. */
  readonly names?: readonly string[];
  /** Of pages elsewhere that may open channels here. */
  readonly origins?: readonly string[];
  /** host:port of the operator's port; none without. */
  readonly health?: string;
  readonly log?: "text" | "json" | "none";
  readonly drain: number;
  readonly maxRunning?: number;
  readonly maxWaiting?: number;
  readonly perMinute?: number;
  readonly perKey?: number;
  /** By what peers are counted; by listed keys, else by address, unless given. */
  readonly countBy?: "key" | "address";
}

const listed = (text: string) => text.toLowerCase().split(",");

/** Names of a machine that browsers ask. */
export function names(): Option {
  return new Option(
    "--names <list>",
    "names by which browsers reach this machine, beside addresses and those of --tls-cert: mpc.example",
  ).argParser(listed);
}

/** Of the commands that serve until they are stopped. */
export function service(command: Command): Command {
  return network(command)
    .optionsGroup("Service:")
    .option("--profile <file>", "write the service's profile there: all that clients need, as their --service")
    .addOption(address("--public <address>", "host:port by which others reach this service, for its profile"))
    .addOption(address("--web <address>", "host:port for browsers (needs --key)"))
    .option("--tls-cert <file>", "certificate of --web, as PEM: https and wss then")
    .option("--tls-key <file>", "its key")
    .addOption(names())
    .addOption(
      new Option(
        "--origins <list>",
        "pages elsewhere that may ask at --web: https://page.example, or * for all (default: this machine's and --web's own)",
      ).argParser(listed),
    )
    .addOption(
      address("--health <address>", "host:port of the operator's /console, /livez, /readyz and /metrics (Prometheus)"),
    )
    .addOption(
      new Option("--log <format>", "what is logged on stderr (default: text; none with --json)").choices([
        "text",
        "json",
        "none",
      ]),
    )
    .addOption(whole("--drain <seconds>", "when stopped, let what runs end for so long").default(30))
    .addOption(
      whole("--max-running <n>", "phases at work at once, half of them for one key; the rest waits (default: 8)"),
    )
    .addOption(whole("--max-waiting <n>", "phases that may wait; the rest is refused (default: 64)"))
    .addOption(whole("--per-minute <n>", "phases that one key may begin in a minute (default: 6000)"))
    .addOption(
      whole("--per-key <n>", "connections that one key may have at once (default: 64; of a dealer 256, of a helper 8)"),
    )
    .addOption(
      new Option(
        "--count-by <what>",
        "what such bounds count by: keys, or where peers come from (default: key with --peers; address without)",
      ).choices(["key", "address"]),
    );
}

/** Of the commands that compile what their peers ask for. */
export interface ShapeOptions {
  readonly lengths?: readonly number[];
  readonly maxTurns?: number;
  readonly maxSteps?: number;
  /** Megabytes. */
  readonly maxPrograms?: number;
}

/** What peers may ask for, of a service that compiles it. */
export function shapes(command: Command): Command {
  return command
    .optionsGroup("Programs:")
    .addOption(wholes("--lengths <list>", `padded lengths that are taken (default: ${BUCKETS.join(",")})`, 3, 4096))
    .addOption(whole("--max-turns <n>", "new tokens of one run (default: as many as the model has positions for)"))
    .addOption(
      whole(
        "--max-steps <n>",
        "steps of one program: a decoder has some hundreds for each layer and 10 new tokens (default: 256000)",
      ),
    )
    .addOption(whole("--max-programs <MB>", "compiled programs kept in memory; half of it for one key (default: 192)"));
}

/** Of those that have a store. */
export interface StoreOptions {
  readonly store?: string;
  /** Days after which an item that nobody used is burnt. */
  readonly keepDays?: number;
}

export function keepDays(): Option {
  return whole(
    "--keep-days <n>",
    "burn prepared material that nobody used for so long (default: 30 at a server, 29 at a client)",
  );
}

/** For measuring. */
export function link(): Option {
  return new Option("--link <link>").hideHelp();
}

/** Of the commands that ask. */
export interface PeerOptions extends NetworkOptions, OutputOptions, StoreOptions {
  readonly server: string;
  readonly dealer: string;
  /** The padded lengths that the server takes, from its profile. */
  readonly profileLengths?: readonly number[];
  /** The id that the server's model must have. */
  readonly model?: string;
}

/** Whom a command asks. */
export function peers(command: Command): Command {
  return takesProfile(command.optionsGroup("Peers:"), "server")
    .addOption(address("--server <address>", "host:port of the server").default("127.0.0.1:7700"))
    .option("--server-key <fingerprint>", "the server's key, as its operator tells it")
    .addOption(address("--dealer <address>", "host:port of the dealer").default("127.0.0.1:7701"))
    .option("--dealer-key <fingerprint>", "the dealer's key, as its operator tells it")
    .addOption(pinnedModel());
}

/** The model that a client asks, and no other. */
export function pinnedModel(): Option {
  return new Option(
    "--model <id>",
    "the model's id, as its operator tells it: another model is refused before any text is sent",
  ).argParser((text) => {
    if (/^[0-9a-f]{64}$/.test(text)) return text;
    throw new UsageError("--model takes a model's id, 64 hexadecimal digits: its server prints it");
  });
}

/** What the columns of a file are. */
export function task(): Option {
  return new Option("--task <name>", "columns, labels and metrics of a well-known task").choices(
    TASKS.map(({ name }) => name),
  );
}

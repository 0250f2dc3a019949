import { compile } from "../compiler/compile.ts";
import { isDecoder, longestText, type ModelSpec } from "../program/spec.ts";
import { oneTurn, type Shape } from "../program/steps.ts";
import { type Cost, costOf, type OnlineCost, type StepCost } from "../protocols/cost.ts";
import { floatMatmul } from "./float.ts";
import { type ModelOptions, overridesOf, positive } from "./options.ts";
import { openSource } from "./source.ts";
import { formatBytes, Progress, print, printJson, table, UsageError } from "./terminal.ts";

export interface PlanOptions extends ModelOptions {
  readonly length: string;
  /** Of a decoder: new tokens. */
  readonly tokens?: string;
  readonly json?: boolean;
}

/** The padded length a command was given. @throws UsageError beyond the model's positions. */
export function lengthOf(options: { length: string }, spec: ModelSpec): number {
  const length = positive(options.length, "--length");
  const limit = longestText(spec);
  if (length < 3 || length > limit) throw new UsageError(`--length takes 3 to ${limit} tokens for this model`);
  return length;
}

/** New tokens of a decoder's run, unless told. */
const NEW_TOKENS = 16;

/** What a command's run is of: a text, and of a decoder so many new tokens. @throws UsageError beyond the model's positions. */
export function shapeOf(options: { length: string; tokens?: string }, spec: ModelSpec): Shape {
  const length = lengthOf(options, spec);
  if (!isDecoder(spec)) {
    if (options.tokens !== undefined) throw new UsageError("--tokens is for models that continue texts");
    return oneTurn(length);
  }
  const turns = newTokensOf(options);
  const limit = longestText(spec);
  if (length + turns - 1 > limit) throw new UsageError(`--length and --tokens together take up to ${limit + 1}`);
  return { ...oneTurn(length), turns };
}

/** New tokens that a command asks for, should its model be one that continues texts. */
export function newTokensOf(options: { tokens?: string }): number {
  return options.tokens === undefined ? NEW_TOKENS : positive(options.tokens, "--tokens");
}

/** Prints what a private inference costs. */
export async function plan(name: string, options: PlanOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const source = await openSource(name, {
    overrides: overridesOf(options),
    calibration: options.calibrate,
    length: positive(options.length, "--length"),
    newTokens: newTokensOf(options),
    matmul: await floatMatmul(),
    progress: progress.of("calibrating"),
  });
  progress.stop();
  const { spec } = source;
  const cost = costOf(compile(spec, source.plan, shapeOf(options, spec)));
  if (options.json) return printJson(cost);
  print(`${name}, ${sizeOf(cost.shape)}, ${standInsOf(spec)}, embedding ${spec.embedding}`);
  print();
  print(costTable(cost));
  print();
  print(`online flights: ${cost.online.flights}; server's multiplications: ${(cost.macs / 1e9).toFixed(2)} G`);
  if (cost.turns.length > 1) {
    print(`the text and its first token: ${onlineLine(cost.turns[0])}`);
    print(`each later token: ${onlineLine(cost.turns[1])}`);
  }
  print(`once for the model: ${formatBytes(cost.setup.bytes.server_to_dealer)} of masked weights, server to dealer`);
}

/** A shape in a few words. */
export function sizeOf({ length, turns }: Pick<Shape, "length" | "turns">): string {
  return turns === 1 ? `${length} tokens` : `${length} tokens and ${turns} new ones`;
}

/** A model's stand-ins in a few words. */
export function standInsOf({
  architecture,
  gelu,
  softmax,
}: Pick<ModelSpec, "architecture" | "gelu" | "softmax">): string {
  return `${architecture === "llama" ? "SiLU" : "GeLU"} ${gelu}, softmax ${softmax}`;
}

function onlineLine({ flights, bytes }: OnlineCost): string {
  return `${flights} flights, ${formatBytes(bytes.client_to_server)} to the server, ${formatBytes(bytes.server_to_client)} back`;
}

/** Bytes by kind of work, with the whole as the last row. */
export function costTable(cost: Cost): string {
  const groups = new Map<string, StepCost[]>();
  for (const step of cost.steps) groups.set(step.group, [...(groups.get(step.group) ?? []), step]);
  const row = (name: string, steps: readonly StepCost[]) => {
    const sum = (f: (s: StepCost) => number) => steps.reduce((total, s) => total + f(s), 0);
    return [
      name,
      formatBytes(sum((s) => s.online.client_to_server)),
      formatBytes(sum((s) => s.online.server_to_client)),
      formatBytes(sum((s) => s.offline.dealer_to_server)),
      formatBytes(sum((s) => s.offline.client_to_server)),
      `${(sum((s) => s.macs) / 1e9).toFixed(2)} G`,
    ];
  };
  const head = [
    "",
    "client->server",
    "server->client",
    "dealer->server offline",
    "client->server offline",
    "multiplications",
  ];
  return table([head, ...[...groups].map(([name, steps]) => row(name, steps)), row("all", cost.steps)]);
}

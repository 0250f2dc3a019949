/** What `plan` and `bench` share: the shape of a run, and its cost as people read it. */
import type { Command } from "commander";
import type { Bounds } from "../compiler/budget.ts";
import { isDecoder, longestText, type ModelSpec } from "../program/spec.ts";
import { oneTurn, type Shape } from "../program/steps.ts";
import type { Cost, StepCost } from "../protocols/cost.ts";
import type { Matmul } from "../reference/matmul.ts";
import { UsageError } from "./failure.ts";
import { floatMatmul } from "./float.ts";
import { formatBytes, table } from "./format.ts";
import { type ModelOptions, type OutputOptions, overridesOf } from "./options.ts";
import { Progress } from "./progress.ts";
import { openSource, type Source } from "./source.ts";
import { warn } from "./terminal.ts";
import { whole } from "./values.ts";

interface SizeOptions {
  readonly length: number;
  /** Of a decoder: new tokens. */
  readonly tokens?: number;
}

export interface PlanOptions extends ModelOptions, OutputOptions, SizeOptions {}

/** What a run is of. */
export function size(command: Command): Command {
  return command
    .addOption(whole("--length <n>", "padded length in tokens").makeOptionMandatory())
    .addOption(whole("--tokens <n>", `new tokens, of a model that continues texts (default: ${NEW_TOKENS})`));
}

/** The padded length a command was given. @throws UsageError beyond the model's positions. */
export function lengthOf({ length }: { readonly length: number }, spec: ModelSpec): number {
  const limit = longestText(spec);
  if (length < 3 || length > limit) throw new UsageError(`--length takes 3 to ${limit} tokens for this model`);
  return length;
}

/** Steps of a program that its own user asks the cost of. */
export const BENCH_BOUNDS: Bounds = { steps: 4_000_000 };

/** New tokens of a decoder's run, unless told. */
const NEW_TOKENS = 16;

/** What a command's run is of: a text, and of a decoder so many new tokens. @throws UsageError beyond the model's positions. */
export function shapeOf(options: SizeOptions, spec: ModelSpec): Shape {
  const length = lengthOf(options, spec);
  if (!isDecoder(spec)) {
    if (options.tokens !== undefined) throw new UsageError("--tokens is for models that continue texts");
    return oneTurn(length);
  }
  const turns = options.tokens ?? NEW_TOKENS;
  const limit = longestText(spec);
  if (length + turns - 1 > limit) throw new UsageError(`--length and --tokens together take up to ${limit + 1}`);
  return { ...oneTurn(length), turns };
}

/** A shape in a few words. */
export function sizeOf({ length, turns }: Pick<Shape, "length" | "turns">): string {
  return turns === 1 ? `${length} tokens` : `${length} tokens and ${turns} new ones`;
}

/** A model's stand-ins in a few words. */
export function standInsOf({ blocks, gelu, softmax }: Pick<ModelSpec, "blocks" | "gelu" | "softmax">): string {
  return `${blocks.activation === "silu" ? "SiLU" : "GeLU"} ${gelu}, softmax ${softmax}`;
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

/** The model or shape whose cost is asked, calibrated for the run's size unless it has a plan. @throws as `openSource` does. */
export async function openPriced(name: string, options: PlanOptions): Promise<{ source: Source; matmul: Matmul }> {
  const progress = new Progress(options.json ?? false);
  const matmul = await floatMatmul();
  const source = await openSource(name, {
    overrides: overridesOf(options),
    unplanned: warn,
    calibration: options.calibrate,
    length: options.length,
    newTokens: options.tokens ?? NEW_TOKENS,
    matmul,
    progress: progress.of("calibrating"),
  });
  progress.stop();
  return { source, matmul };
}

import { compile } from "../models/calibrate.ts";
import type { ModelSpec } from "../program/spec.ts";
import { type Cost, costOf, type StepCost } from "../protocols/cost.ts";
import { floatMatmul } from "./float.ts";
import { type ModelOptions, overridesOf, positive } from "./options.ts";
import { openSource } from "./source.ts";
import { formatBytes, Progress, print, printJson, table, UsageError } from "./terminal.ts";

export interface PlanOptions extends ModelOptions {
  readonly length: string;
  readonly json?: boolean;
}

/** The padded length a command was given. @throws UsageError beyond the model's positions. */
export function lengthOf(options: { length: string }, spec: ModelSpec): number {
  const length = positive(options.length, "--length");
  const limit = spec.positions - spec.positionOffset;
  if (length < 3 || length > limit) throw new UsageError(`--length takes 3 to ${limit} tokens for this model`);
  return length;
}

/** Prints what a private inference costs. */
export async function plan(name: string, options: PlanOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const source = await openSource(name, {
    overrides: overridesOf(options),
    calibration: options.calibrate,
    length: positive(options.length, "--length"),
    matmul: await floatMatmul(),
    progress: progress.of("calibrating"),
  });
  progress.stop();
  const cost = costOf(compile(source.spec, source.plan, lengthOf(options, source.spec)));
  if (options.json) return printJson(cost);
  print(
    `${name}, ${cost.length} tokens, GeLU ${source.spec.gelu}, softmax ${source.spec.softmax}, embedding ${source.spec.embedding}`,
  );
  print();
  print(costTable(cost));
  print();
  print(`online flights: ${cost.online.flights}; server's multiplications: ${(cost.macs / 1e9).toFixed(2)} G`);
  print(`once for the model: ${formatBytes(cost.setup.bytes.server_to_dealer)} of masked weights, server to dealer`);
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

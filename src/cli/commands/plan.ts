/** `plan`: what a private inference costs, without running it. */
import type { Command } from "commander";
import { compile } from "../../compiler/compile.ts";
import { costOf, type OnlineCost } from "../../protocols/cost.ts";
import { BENCH_BOUNDS, costTable, NEW_TOKENS, type PlanOptions, shapeOf, size, sizeOf, standInsOf } from "../costs.ts";
import { floatMatmul } from "../float.ts";
import { formatBytes } from "../format.ts";
import { approximate, output, overridesOf, SHAPE } from "../options.ts";
import { Progress } from "../progress.ts";
import { openSource } from "../source.ts";
import { print, printJson, warn } from "../terminal.ts";

export function addPlan(program: Command): void {
  const command = program
    .command("plan")
    .description("the cost of a private inference, by step and in all, without running it")
    .argument("<model>", SHAPE);
  output(approximate(size(command))).action(plan);
}

/** Prints what a private inference costs. */
async function plan(name: string, options: PlanOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const source = await openSource(name, {
    overrides: overridesOf(options),
    unplanned: warn,
    calibration: options.calibrate,
    length: options.length,
    newTokens: options.tokens ?? NEW_TOKENS,
    matmul: await floatMatmul(),
    progress: progress.of("calibrating"),
  });
  progress.stop();
  const { spec } = source;
  const cost = costOf(compile(spec, source.plan, shapeOf(options, spec), BENCH_BOUNDS));
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

function onlineLine({ flights, bytes }: OnlineCost): string {
  return `${flights} flights, ${formatBytes(bytes.client_to_server)} to the server, ${formatBytes(bytes.server_to_client)} back`;
}

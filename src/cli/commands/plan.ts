/** `plan`: what a private inference costs, without running it. */
import type { Command } from "commander";
import { compile } from "../../compiler/compile.ts";
import { costOf, type Forms, formsOf, type OnlineCost, secondsOver } from "../../protocols/cost.ts";
import { networkOf } from "../bench-run.ts";
import { BENCH_BOUNDS, costTable, openPriced, type PlanOptions, shapeOf, size, sizeOf, standInsOf } from "../costs.ts";
import { formatBytes } from "../format.ts";
import { approximate, output, SHAPE } from "../options.ts";
import { print, printJson, warn } from "../terminal.ts";

export function addPlan(program: Command): void {
  const command = program
    .command("plan")
    .description("the cost of a private inference, by step and in all, without running it")
    .argument("<model>", SHAPE);
  size(command).option(
    "--network <name>",
    "seconds online over lan, wan, or round-trip milliseconds,Mbit/s such as 20,300, and the forms that were chosen",
  );
  output(approximate(command)).action(plan);
}

/** Prints what a private inference costs. */
async function plan(name: string, options: PlanOptions & { readonly network?: string }): Promise<void> {
  // What is wrong with it is told before any work.
  const link = options.network === undefined ? null : networkOf(options.network);
  const { source } = await openPriced(name, options);
  const { spec } = source;
  const program = compile(spec, source.plan, shapeOf(options, spec), BENCH_BOUNDS);
  const cost = costOf(program);
  if (program.slack > 0)
    warn(
      `all values give up ${program.slack} bits so that rings have 64: \`mpcformer calibrate\` tells what that does to answers`,
    );
  const seconds =
    link === null ? {} : { network: { ...link, seconds: secondsOver(program, link), forms: formsOf(program) } };
  if (options.json) return printJson({ ...cost, ...seconds });
  print(`${name}, ${sizeOf(cost.shape)}, ${standInsOf(spec)}, embedding ${spec.embedding}`);
  print();
  print(costTable(cost));
  print();
  print(`online flights: ${cost.online.flights}; server's multiplications: ${(cost.macs / 1e9).toFixed(2)} G`);
  if (cost.turns.length > 1) {
    print(`the text and its first token: ${onlineLine(cost.turns[0])}`);
    print(`each later token: ${onlineLine(cost.turns[1])}`);
  }
  if (link !== null) {
    print(
      `online over ${link.roundTrip} ms and ${link.megabits} Mbit/s: ${secondsOver(program, link).toFixed(2)} s of messages`,
    );
    print(`chosen: ${formsLine(formsOf(program))}`);
  }
  print(`once for the model: ${formatBytes(cost.setup.bytes.server_to_dealer)} of masked weights, server to dealer`);
}

function formsLine(forms: Forms): string {
  const { splines, polynomials, newtonSteps, counted, levels } = forms;
  const roots = `roots by ${splines} dealt splines and ${polynomials} polynomials, ${newtonSteps} Newton steps`;
  return `${roots}; maxima by ${counted} counts and ${levels} levels of tournaments`;
}

function onlineLine({ flights, bytes }: OnlineCost): string {
  return `${flights} flights, ${formatBytes(bytes.client_to_server)} to the server, ${formatBytes(bytes.server_to_client)} back`;
}

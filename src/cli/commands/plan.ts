/** `plan`: what a private inference costs, without running it. */
import type { Command } from "commander";
import { compile } from "../../compiler/compile.ts";
import { costOf, type Forms, formsOf, type OnlineCost, secondsOver } from "../../protocols/cost.ts";
import { type CheckCost, checkCost, secondsOfCheck } from "../../protocols/verify/price.ts";
import type { Verify } from "../../protocols/verify/sampling.ts";
import { networkOf } from "../bench-run.ts";
import { BENCH_BOUNDS, costTable, openPriced, type PlanOptions, shapeOf, size, sizeOf, standInsOf } from "../costs.ts";
import { formatBytes } from "../format.ts";
import { approximate, output, SHAPE } from "../options.ts";
import { print, printJson, warn } from "../terminal.ts";
import { verified } from "../values.ts";

export function addPlan(program: Command): void {
  const command = program
    .command("plan")
    .description("the cost of a private inference, by step and in all, without running it")
    .argument("<model>", SHAPE);
  size(command).option(
    "--network <name>",
    "seconds online over lan, wan, or round-trip milliseconds,Mbit/s such as 20,300, and the forms that were chosen",
  );
  command.addOption(verified("with a check of what clients open", 0));
  output(approximate(command)).action(plan);
}

interface PlanCommandOptions extends PlanOptions {
  readonly network?: string;
  /** Of how many openings one is checked. */
  readonly verify?: Verify;
}

/** Prints what a private inference costs. */
async function plan(name: string, options: PlanCommandOptions): Promise<void> {
  // What is wrong with it is told before any work.
  const link = options.network === undefined ? null : networkOf(options.network);
  const { source } = await openPriced(name, options);
  const { spec } = source;
  const { verify = 0 } = options;
  const shape = { ...shapeOf(options, spec), verified: verify > 0 };
  const program = compile(spec, source.plan, shape, BENCH_BOUNDS);
  const cost = costOf(program);
  const check = verify === 0 ? null : checkCost(program, verify);
  if (program.slack > 0)
    warn(
      `all values give up ${program.slack} bits so that rings have 64: \`mpcformer calibrate\` tells what that does to answers`,
    );
  const over = link === null ? 0 : secondsOver(program, link) + (check === null ? 0 : secondsOfCheck(check, link));
  const seconds = link === null ? {} : { network: { ...link, seconds: over, forms: formsOf(program) } };
  if (options.json) return printJson({ ...cost, ...(check === null ? {} : { check }), ...seconds });
  print(`${name}, ${sizeOf(cost.shape)}, ${standInsOf(spec)}, embedding ${spec.embedding}`);
  print();
  print(costTable(cost));
  print();
  print(`online flights: ${cost.online.flights}; server's multiplications: ${(cost.macs / 1e9).toFixed(2)} G`);
  if (cost.turns.length > 1) {
    print(`the text and its first token: ${onlineLine(cost.turns[0])}`);
    print(`each later token: ${onlineLine(cost.turns[1])}`);
  }
  if (check !== null) print(checkLine(check));
  if (link !== null) {
    print(`online over ${link.roundTrip} ms and ${link.megabits} Mbit/s: ${over.toFixed(2)} s of messages`);
    print(`chosen: ${formsLine(formsOf(program))}`);
  }
  print(`once for the model: ${formatBytes(cost.setup.bytes.server_to_dealer)} of masked weights, server to dealer`);
}

function checkLine({ verify, checks, offline, online, macs }: CheckCost): string {
  const { client_to_server, server_to_client } = online.bytes;
  const what = `the check of ${verify === 1 ? "all openings" : `one opening in ${verify}`}`;
  const times = checks === 1 ? "" : `, ${checks} times`;
  const bytes = `${formatBytes(server_to_client)} to the client and ${formatBytes(client_to_server)} back${times}`;
  return `${what}: ${formatBytes(offline.bytes.dealer_to_server)} more from the dealer; before the answer ${bytes}; ${(macs / 1e9).toFixed(2)} G multiplications a side`;
}

function formsLine(forms: Forms): string {
  const { splines, polynomials, newtonSteps, counted, levels } = forms;
  const roots = `roots by ${splines} dealt splines and ${polynomials} polynomials, ${newtonSteps} Newton steps`;
  return `${roots}; maxima by ${counted} counts and ${levels} levels of tournaments`;
}

function onlineLine({ flights, bytes }: OnlineCost): string {
  return `${flights} flights, ${formatBytes(bytes.client_to_server)} to the server, ${formatBytes(bytes.server_to_client)} back`;
}

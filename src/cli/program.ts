/** The commands of `mpcformer`: one a party, and those that look at cost and accuracy. */
import { Command, Option } from "commander";
import { addApproximations } from "./commands/approximations.ts";
import { addBench } from "./commands/bench.ts";
import { addBuildNative } from "./commands/build-native.ts";
import { addCalibrate } from "./commands/calibrate.ts";
import { addConvert } from "./commands/convert.ts";
import { addDeal } from "./commands/deal.ts";
import { addDemo } from "./commands/demo.ts";
import { addDistill } from "./commands/distill.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEvaluate } from "./commands/evaluate.ts";
import { addFinetune } from "./commands/finetune.ts";
import { addGateway } from "./commands/gateway.ts";
import { addGenerate } from "./commands/generate.ts";
import { addHelper } from "./commands/helper.ts";
import { addInfer } from "./commands/infer.ts";
import { addKeys } from "./commands/keys.ts";
import { addPlan } from "./commands/plan.ts";
import { addPrepare } from "./commands/prepare.ts";
import { addPretrain } from "./commands/pretrain.ts";
import { addServe } from "./commands/serve.ts";
import { addStudy } from "./commands/study.ts";
import { addWeb } from "./commands/web.ts";
import { debug, report } from "./failure.ts";
import { endWithParent } from "./processes.ts";
import { VERSION } from "./release.ts";
import { isForMachines, note, write, writeForMachines } from "./terminal.ts";

/** The commands, by what they are for. */
const GROUPS: readonly (readonly [string, readonly ((program: Command) => void)[]])[] = [
  ["To begin with:", [addDemo, addWeb]],
  ["Ask a service:", [addInfer, addGenerate, addGateway, addPrepare]],
  ["Run a service:", [addServe, addDeal, addHelper, addKeys]],
  ["Cost and accuracy:", [addPlan, addBench, addEvaluate, addCalibrate, addApproximations]],
  ["Make models:", [addPretrain, addFinetune, addDistill, addStudy, addConvert]],
  ["This machine:", [addDoctor, addBuildNative]],
];

const EXIT_CODES = `Exit codes: 0 done, 1 it cannot be done, 2 the command line is wrong, 70 a fault of mpcformer itself,
  141 nobody reads what it writes. With --json an error is one line of JSON on stderr.`;

/** Runs a command to its end: its exit code. A service has none before it is stopped. */
export async function run(args: readonly string[]): Promise<number> {
  const options = args.slice(0, args.includes("--") ? args.indexOf("--") : args.length);
  // Known before anything can fail, the reading of the options too.
  writeForMachines(options.includes("--json"));
  if (options.includes("--debug")) debug();
  try {
    await program().parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

/** The help that stands for a command which is missing. */
function help(text: string): void {
  if (!isForMachines()) note(text.trimEnd());
}

function program(): Command {
  const all = new Command("mpcformer")
    .description("Private Transformer inference: neither side learns the other's secret.")
    .version(VERSION)
    .option("--debug", "show where an error comes from, with its causes, which may quote files (or MPCFORMER_DEBUG=1)")
    .addOption(new Option("--attached").hideHelp())
    // As soon as it is read: what a command has to read or compute first may take minutes.
    .on("option:attached", endWithParent)
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", `\n${EXIT_CODES}`)
    .exitOverride()
    // Errors are told in one place, for people or for machines.
    .configureOutput({ writeOut: write, writeErr: help, outputError: () => {} });
  for (const [heading, commands] of GROUPS) {
    all.commandsGroup(heading);
    for (const add of commands) add(all);
  }
  return all;
}

#!/usr/bin/env node
/** `mpcformer`: one command a party, and the commands that look at cost and accuracy. */
import { Command, CommanderError } from "commander";
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
import { VERSION } from "./release.ts";
import { note, write } from "./terminal.ts";

/** The commands, by what they are for. */
const GROUPS: readonly (readonly [string, readonly ((program: Command) => void)[]])[] = [
  ["To begin with:", [addDemo, addWeb]],
  ["Ask a service:", [addInfer, addGenerate, addPrepare]],
  ["Run a service:", [addServe, addDeal, addHelper, addKeys]],
  ["Cost and accuracy:", [addPlan, addBench, addEvaluate, addCalibrate, addApproximations]],
  ["Make models:", [addPretrain, addFinetune, addDistill, addStudy, addConvert]],
  ["This machine:", [addDoctor, addBuildNative]],
];

const program = new Command("mpcformer")
  .description("Private Transformer inference: neither side learns the other's secret.")
  .version(VERSION)
  .exitOverride()
  .configureOutput({
    writeOut: write,
    writeErr: (text) => note(`mpcformer: ${text.replace(/^error: /, "").trimEnd()}`),
  });
for (const [heading, commands] of GROUPS) {
  program.commandsGroup(heading);
  for (const add of commands) add(program);
}

/** One line that says what to do; a stack only for faults of this program. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  const message = error instanceof Error ? error.message.split("\n")[0] : "failed";
  note(`mpcformer: ${message}`);
  return 1;
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
  // Sockets of a broken session must not keep the process alive.
  if (process.exitCode !== 0) process.exit();
}

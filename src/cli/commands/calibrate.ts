/** `calibrate`: a model's ranges, from texts. */
import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { eachRow, readNumberedTexts } from "../../tasks/tables.ts";
import { UsageError } from "../failure.ts";
import { floatMatmul } from "../float.ts";
import { namedFolder } from "../named.ts";
import { disclosure, type ModelOptions, type OutputOptions, output, overridesOf, standIns } from "../options.ts";
import { measured, predictionLine } from "../prediction.ts";
import { Progress } from "../progress.ts";
import { openModel, planJson, planPathOf } from "../source.ts";
import { print, printJson } from "../terminal.ts";
import { decimal } from "../values.ts";

interface CalibrateOptions extends ModelOptions, OutputOptions {
  readonly data: string;
  readonly margin: number;
}

export function addCalibrate(program: Command): void {
  const command = program
    .command("calibrate")
    .description(
      "set a model's ranges from texts and keep them in its folder as mpcformer.json, or beside its .gguf file",
    )
    .argument("<model>", "a Hugging Face folder, or a .gguf file")
    .requiredOption("--data <file>", "texts, one a line: the more like the users', the better")
    .addOption(decimal("--margin <factor>", "room beyond what the texts show", 1, 1000, "a factor").default(2));
  disclosure(standIns(command.optionsGroup("Model:")));
  output(command).action(calibrateModel);
}

/** Writes a model's plan. */
async function calibrateModel(model: string, options: CalibrateOptions): Promise<void> {
  const progress = new Progress(options.json ?? false);
  const found = await namedFolder(model);
  if (found.ships) throw new UsageError(`${model} ships with its ranges: give a model of your own`);
  const path = planPathOf(found.folder);
  const matmul = await floatMatmul();
  const source = await openModel(model, {
    overrides: overridesOf(options),
    calibration: options.data,
    margin: options.margin,
    matmul,
    progress: progress.of("calibrating"),
  });
  const { spec, tokenizer } = source;
  const lines = await readNumberedTexts(options.data);
  const texts = eachRow(lines, options.data, ({ text }) => tokenizer.encode(text, undefined, { truncate: true }));
  const { plan, foretold } = await measured(source, texts, matmul, progress.of("in fixed point"));
  await writeFile(path, planJson(spec, plan));
  progress.stop();
  const ranges = Object.keys(plan.ranges).length;
  if (options.json) return printJson({ plan: path, ranges, ...foretold });
  print(`wrote ${path}: ${ranges} ranges for ${spec.gelu} and ${spec.softmax}`);
  print(predictionLine(foretold));
}

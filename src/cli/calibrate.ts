import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { floatMatmul } from "./float.ts";
import { type ModelOptions, overridesOf } from "./options.ts";
import { openSource, PLAN_FILE, planJson } from "./source.ts";
import { Progress, print, printJson, UsageError } from "./terminal.ts";

interface CalibrateCommandOptions extends ModelOptions {
  readonly data: string;
  readonly margin: string;
  readonly json?: boolean;
}

/** Writes the plan of a model folder. */
export async function calibrateCommand(folder: string, options: CalibrateCommandOptions): Promise<void> {
  const margin = Number(options.margin);
  if (!(margin >= 1 && margin <= 1000)) throw new UsageError("--margin takes a factor from 1 to 1000");
  const progress = new Progress(options.json ?? false);
  const source = await openSource(folder, {
    overrides: overridesOf(options),
    calibration: options.data,
    margin,
    matmul: await floatMatmul(),
    progress: progress.of("calibrating"),
  });
  const path = join(folder, PLAN_FILE);
  await writeFile(path, planJson(source.spec, source.plan));
  progress.stop();
  if (options.json) printJson({ plan: path, ranges: Object.keys(source.plan.ranges).length });
  else
    print(
      `wrote ${path}: ${Object.keys(source.plan.ranges).length} ranges for ${source.spec.gelu} and ${source.spec.softmax}`,
    );
}

/** Curves of a training: the loss by step, and the dev set's metric. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { METRICS_FILE } from "./run.ts";

export type Point = readonly [step: number, value: number];

/** A stage's points, from its metrics' file. */
export interface StageCurves {
  readonly name: string;
  readonly loss: readonly Point[];
  /** The metric's name is the dev set's first. */
  readonly metric: string | null;
  readonly dev: readonly Point[];
}

interface LogEntry {
  readonly step: number;
  readonly loss?: number;
  readonly dev?: Readonly<Record<string, number>>;
}

/** Reads the metrics of stages kept in `folder`. */
export async function readCurves(folder: string, stages: readonly { readonly name: string }[]): Promise<StageCurves[]> {
  return Promise.all(
    stages.map(async ({ name }) => {
      const text = await readFile(join(folder, name, METRICS_FILE), "utf8");
      const entries = text
        .split("\n")
        .filter((row) => row !== "")
        .map((row) => JSON.parse(row) as LogEntry);
      const metric = entries.flatMap(({ dev }) => Object.keys(dev ?? {}))[0] ?? null;
      return {
        name,
        metric,
        loss: entries.flatMap(({ step, loss }): Point[] => (loss === undefined ? [] : [[step, loss]])),
        dev: entries.flatMap(({ step, dev }): Point[] =>
          dev === undefined || metric === null ? [] : [[step, dev[metric]]],
        ),
      };
    }),
  );
}

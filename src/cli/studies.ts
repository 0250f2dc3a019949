/** A study's results from a file that the operator names, for the console. */
import { readFile } from "node:fs/promises";
import * as v from "valibot";
import type { Row } from "./report.ts";
import { UsageError } from "./terminal.ts";

const value = v.pipe(v.number(), v.finite());
const share = v.nullable(value);
const words = v.pipe(v.string(), v.maxLength(100));
const MOST_ROWS = 1000;

/** What `mpcformer study` writes; what a later release adds is left out. */
const rowSchema = v.object({
  task: words,
  gelu: words,
  softmax: words,
  metric: words,
  teacher: value,
  without_pd: share,
  without_d: share,
  both: share,
  private: v.nullable(v.object({ texts: value, value, clear_value: share, agreement: share, outside_range: share })),
  cost: v.nullable(
    v.object({
      length: value,
      flights: value,
      online_bytes: value,
      offline_bytes: value,
      online_seconds: value,
      offline_seconds: value,
      speed_up: share,
      online_speed_up: share,
    }),
  ),
}) satisfies v.GenericSchema<unknown, Row>;

const studySchema = v.object({
  title: v.pipe(v.string(), v.maxLength(300)),
  rows: v.pipe(v.array(rowSchema), v.minLength(1), v.maxLength(MOST_ROWS)),
});

export type Study = v.InferOutput<typeof studySchema>;

/** The results that `--studies` names; null without it. @throws UsageError */
export async function readStudies(options: {
  readonly studies?: string;
  readonly health?: string;
}): Promise<Study | null> {
  const { studies: path, health } = options;
  if (path === undefined) return null;
  if (health === undefined) throw new UsageError("--studies is for the console: give --health host:port too");
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, "utf8"));
  } catch {
    throw new UsageError(`${path} cannot be read as JSON: --studies takes the results.json of mpcformer study`);
  }
  const result = v.safeParse(studySchema, content);
  if (result.success) return result.output;
  const where = v.getDotPath(result.issues[0]) ?? "top level";
  throw new UsageError(
    `${path} is not a study's results (${where}): --studies takes the results.json of mpcformer study`,
  );
}

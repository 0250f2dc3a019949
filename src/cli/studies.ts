/** A study's results from a file that the operator names, for the console. */
import * as v from "valibot";
import { type Study, studySchema } from "../console/study.ts";
import { readTextFile } from "../files/text.ts";
import { Failure, UsageError } from "./failure.ts";

/** The results that `--studies` names; null without it. @throws UsageError */
export async function readStudies(options: {
  readonly studies?: string;
  readonly health?: string;
}): Promise<Study | null> {
  const { studies: path, health } = options;
  if (path === undefined) return null;
  if (health === undefined) throw new UsageError("--studies is for the console: give --health host:port too");
  const text = await readTextFile(path, "--studies takes the results.json of mpcformer study");
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    const why = `${path} cannot be read as JSON: --studies takes the results.json of mpcformer study`;
    throw new Failure(why, { cause });
  }
  const result = v.safeParse(studySchema, content);
  if (result.success) return result.output;
  const where = v.getDotPath(result.issues[0]) ?? "top level";
  throw new Failure(`${path} is not a study's results (${where}): --studies takes the results.json of mpcformer study`);
}

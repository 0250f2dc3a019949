/** JSON files from others: parsed and checked with messages of one line that never repeat what the file says. */

import * as v from "valibot";

/** Values within values: more than any of these files has, and few enough for checks that descend. */
const MOST_DEPTH = 64;

/** The parsed text. @throws an Error that names the file when it is not JSON, or nested without end. */
export function parseJson(text: string, label: string): unknown {
  if (isDeep(text)) throw new Error(`${label} is not valid JSON, it is nested too deeply: copy the file again`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${label} is not valid JSON: copy the file again`, { cause });
  }
}

function isDeep(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const mark = text[i];
    if (mark === '"') quoted = !quoted;
    else if (quoted) i += mark === "\\" ? 1 : 0;
    else if (mark === "[" || mark === "{") depth++;
    else if (mark === "]" || mark === "}") depth--;
    if (depth > MOST_DEPTH) return true;
  }
  return false;
}

/** A name of a file's own, as messages show it: letters that print, `most` of them. */
export function printable(name: string, most = 100): string {
  return name.replace(/[^\x21-\x7e]/g, "?").slice(0, most);
}

/** The value as the schema gives it. @throws an Error that names the file, the field and what it must be. */
export function check<S extends v.GenericSchema>(schema: S, value: unknown, label: string): v.InferOutput<S> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  const unknownField = issue.expected === "never";
  const path = (issue.path ?? []).slice(0, unknownField ? -1 : undefined).map((step) => String(step.key));
  const where = printable(path.join("."), 200);
  throw new Error(
    `${label}: ${where}${where === "" ? "" : ": "}${unknownField ? "remove the unknown field" : messageOf(issue)}`,
  );
}

/** Valibot's own messages end in "but received <value>": the value stays unsaid. */
function messageOf(issue: v.BaseIssue<unknown>): string {
  if (/^Invalid key/.test(issue.message)) return "the field is missing";
  return issue.message.replace(/ but received [\s\S]*$/, "").replace(/^Invalid ([a-z ]+): Expected /i, "expected ");
}

import { list } from "../approximations/registry.ts";
import { print, printJson, table } from "./terminal.ts";

/** Prints the registry. */
export function approximations(options: { json?: boolean }): void {
  const entries = list().map(({ kind, name, parameter, formula, description, source }) => {
    return { kind, name, ...(parameter === undefined ? {} : { parameter }), formula, description, source };
  });
  if (options.json) return printJson(entries);
  print(
    table(entries.map((e) => [`${e.kind} ${e.name}${e.parameter === undefined ? "" : `:${e.parameter}`}`, e.formula])),
  );
}

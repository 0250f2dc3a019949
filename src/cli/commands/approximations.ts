/** `approximations`: the stand-ins of the registry. */
import type { Command } from "commander";
import { list } from "../../approximations/registry.ts";
import { table } from "../format.ts";
import { type OutputOptions, output } from "../options.ts";
import { print, printJson } from "../terminal.ts";

export function addApproximations(program: Command): void {
  output(program.command("approximations").description("the approximations of GeLU, SiLU and softmax")).action(
    approximations,
  );
}

function approximations(options: OutputOptions): void {
  const entries = list().map(({ kind, name, parameter, formula, description, source }) => {
    return { kind, name, ...(parameter === undefined ? {} : { parameter }), formula, description, source };
  });
  if (options.json) return printJson(entries);
  print(
    table(entries.map((e) => [`${e.kind} ${e.name}${e.parameter === undefined ? "" : `:${e.parameter}`}`, e.formula])),
  );
}

/** Options of the commands that train, apart from those of all commands: other commands need not load what trains. */
import { type Command, Option } from "commander";
import { FREEZES } from "../distill/objective.ts";
import { PROVIDERS } from "../distill/session.ts";
import { type OutputOptions, task } from "./options.ts";
import { decimal, whole, wholes } from "./values.ts";

/** Of every command that trains on labelled texts. */
export interface TrainingOptions extends OutputOptions {
  readonly data: string;
  readonly dev?: string;
  readonly devLimit?: number;
  readonly holdOut?: number;
  readonly task?: string;
  readonly out: string;
  readonly limit?: number;
  readonly length?: number;
  readonly curriculum?: readonly number[];
  readonly batch: number;
  readonly accumulate: number;
  readonly warmup: number;
  readonly dropout: number;
  readonly decay: number;
  readonly clip: number;
  readonly freeze: (typeof FREEZES)[number];
  readonly seed: number;
  readonly threads?: number;
  readonly provider: (typeof PROVIDERS)[number];
  readonly patience: number;
  readonly evaluations: number;
}

/** Where and how often of every training. */
export function trainerOptions(command: Command): Command {
  return command
    .addOption(whole("--seed <n>", "decides what is random").default(1))
    .addOption(whole("--threads <n>", "threads of the CPU (default: all cores)"))
    .addOption(new Option("--provider <name>", "where it runs").choices(PROVIDERS).default("cpu"));
}

/** Of every command that trains on labelled texts, but its epochs and rates. */
export function trainingOptions(command: Command): Command {
  command
    .optionsGroup("Data:")
    .requiredOption(
      "--data <file>",
      "TSV, CSV or JSONL with a text (or two) and a label on each line; for other answers see the guide",
    )
    .option("--dev <file>", "the same, to measure by: the best weights on it are kept")
    .addOption(task())
    .requiredOption("--out <dir>", "where the model goes; a run that was stopped goes on from here")
    .addOption(whole("--limit <n>", "only the first so many texts of --data"))
    .addOption(whole("--dev-limit <n>", "only the first so many texts of --dev"))
    .addOption(
      whole("--hold-out <n>", "measure by so many texts of --data instead, and do not learn them").conflicts(["dev"]),
    )
    .addOption(whole("--length <n>", "cut texts at so many tokens (default: at the model's positions)"))
    .addOption(
      wholes(
        "--curriculum <n,n..>",
        "cut texts at these tokens, in equal shares of the steps (not of predictions')",
        4,
        1_000_000,
      ),
    )
    .optionsGroup("Training:")
    .addOption(whole("--batch <n>", "texts of a batch").default(32))
    .addOption(whole("--accumulate <n>", "batches before the weights move").default(1))
    .addOption(decimal("--warmup <share>", "share of the steps in which the learning rate rises", 0, 1).default(0.1))
    .addOption(decimal("--decay <x>", "weight decay", 0, 1).default(0.01))
    .addOption(decimal("--clip <norm>", "largest norm of the gradients", 1e-6, 1e6).default(1))
    .addOption(new Option("--freeze <what>", "what stays as it is").choices(FREEZES).default("nothing"))
    .addOption(whole("--patience <n>", "evaluations without a better one after which to stop; 0: never", 0).default(0))
    .addOption(whole("--evaluations <n>", "evaluations an epoch").default(1));
  return trainerOptions(command);
}

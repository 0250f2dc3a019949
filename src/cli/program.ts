/** The commands of `mpcformer`: one a party, and those that look at cost and accuracy. */
import { Command, Option } from "commander";
import colours from "picocolors";
import { debug, report } from "./failure.ts";
import { endWithParent } from "./processes.ts";
import { VERSION } from "./release.ts";
import { isForMachines, note, write, writeForMachines } from "./terminal.ts";

/** Adds one command to the program. */
type Add = (program: Command) => void;

/** The commands, by what they are for. Each is imported where it is asked for: all of them are most of what a command waits for. */
const GROUPS: readonly (readonly [string, Readonly<Record<string, () => Promise<Add>>>])[] = [
  [
    "To begin with:",
    {
      demo: async () => (await import("./commands/demo.ts")).addDemo,
      up: async () => (await import("./commands/up.ts")).addUp,
      web: async () => (await import("./commands/web.ts")).addWeb,
    },
  ],
  [
    "Ask a service:",
    {
      infer: async () => (await import("./commands/infer.ts")).addInfer,
      chat: async () => (await import("./commands/chat.ts")).addChat,
      generate: async () => (await import("./commands/generate.ts")).addGenerate,
      gateway: async () => (await import("./commands/gateway.ts")).addGateway,
      prepare: async () => (await import("./commands/prepare.ts")).addPrepare,
    },
  ],
  [
    "Run a service:",
    {
      serve: async () => (await import("./commands/serve.ts")).addServe,
      deal: async () => (await import("./commands/deal.ts")).addDeal,
      audit: async () => (await import("./commands/audit.ts")).addAudit,
      helper: async () => (await import("./commands/helper.ts")).addHelper,
      keys: async () => (await import("./commands/keys.ts")).addKeys,
    },
  ],
  [
    "Cost and accuracy:",
    {
      plan: async () => (await import("./commands/plan.ts")).addPlan,
      bench: async () => (await import("./commands/bench.ts")).addBench,
      evaluate: async () => (await import("./commands/evaluate.ts")).addEvaluate,
      calibrate: async () => (await import("./commands/calibrate.ts")).addCalibrate,
      approximations: async () => (await import("./commands/approximations.ts")).addApproximations,
    },
  ],
  [
    "Make models:",
    {
      pretrain: async () => (await import("./commands/pretrain.ts")).addPretrain,
      finetune: async () => (await import("./commands/finetune.ts")).addFinetune,
      distill: async () => (await import("./commands/distill.ts")).addDistill,
      study: async () => (await import("./commands/study.ts")).addStudy,
      convert: async () => (await import("./commands/convert.ts")).addConvert,
    },
  ],
  [
    "This machine:",
    {
      completion: async () => (await import("./commands/completion.ts")).addCompletion,
      doctor: async () => (await import("./commands/doctor.ts")).addDoctor,
      "build-native": async () => (await import("./commands/build-native.ts")).addBuildNative,
    },
  ],
];

const EXAMPLES = `Examples:
  mpcformer demo                                        all of it on this machine, with a model that ships
  mpcformer up storyteller                              a gateway for programs that speak OpenAI's API, for a try
  mpcformer deal --profile dealer.json                  a dealer, a server, and a question to it
  mpcformer serve MODEL_DIR --service dealer.json --profile service.json
  mpcformer infer --service service.json
  mpcformer plan bert-base --length 128                 what a run costs, before anything runs`;

const EXIT_CODES = `Exit codes: 0 done, 1 it cannot be done, 2 the command line is wrong, 70 a fault of mpcformer itself,
  141 nobody reads what it writes. With --json an error is one line of JSON on stderr.`;

const { bold, cyan, green } = colours.createColors(true);
/** Of help; commander takes colours away where they do not go to a terminal, and where NO_COLOR says so. */
const STYLES = { styleTitle: bold, styleCommandText: bold, styleSubcommandText: cyan, styleOptionText: green };

/** Runs a command to its end: its exit code. A service has none before it is stopped. */
export async function run(args: readonly string[]): Promise<number> {
  const options = args.slice(0, args.includes("--") ? args.indexOf("--") : args.length);
  // Known before anything can fail, the reading of the options too.
  writeForMachines(options.includes("--json"));
  if (options.includes("--debug")) debug();
  try {
    await (await program(args)).parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    return report(error);
  }
}

/** The help that stands for a command which is missing. */
function help(text: string): void {
  if (!isForMachines()) note(text.trimEnd());
}

/** The program with the command that the arguments name; with all where they name none, for help and for what is misspelt. */
async function program(args: readonly string[]): Promise<Command> {
  // The program's own options take no values.
  const asked = args.find((arg) => !arg.startsWith("-"));
  const all = new Command("mpcformer")
    .description("Private Transformer inference: neither side learns the other's secret.")
    .version(VERSION)
    .option("--debug", "show where an error comes from, with its causes, which may quote files (or MPCFORMER_DEBUG=1)")
    .addOption(new Option("--attached").hideHelp())
    // As soon as it is read: what a command has to read or compute first may take minutes.
    .on("option:attached", endWithParent)
    .configureHelp({ showGlobalOptions: true, ...STYLES })
    .addHelpText("after", `\n${EXAMPLES}\n\n${EXIT_CODES}`)
    .exitOverride()
    // Errors are told in one place, for people or for machines.
    .configureOutput({ writeOut: write, writeErr: help, outputError: () => {} });
  // Completion names all of them.
  const known =
    asked !== "completion" && GROUPS.some(([, commands]) => asked !== undefined && Object.hasOwn(commands, asked));
  for (const [heading, commands] of GROUPS) {
    all.commandsGroup(heading);
    for (const [name, load] of Object.entries(commands)) if (!known || name === asked) (await load())(all);
  }
  return all;
}

/**
 * A study remakes MPCFormer's tables: for every task and every pair of stand-ins, the teacher, a student trained on labels
 * alone from random weights (w/o p,d) and from the teacher's (w/o d), and a distilled one (both); in the clear and under MPC.
 *
 * It is a list of this program's own commands, run one after another. Each leaves its result in a file, and a study that was
 * stopped goes on behind the last one: within a training from its checkpoint.
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, isAbsolute, join, resolve } from "node:path";
import type { Command } from "commander";
import * as v from "valibot";
import { parse } from "yaml";
import type { Row } from "../../console/study.ts";
import { readTextFile } from "../../files/text.ts";
import { writeChart } from "../charts.ts";
import { Failure, UsageError } from "../failure.ts";
import { type OutputOptions, output } from "../options.ts";
import { published } from "../paper.ts";
import { runJson } from "../processes.ts";
import { studyMarkdown } from "../report.ts";
import { note, print, printJson } from "../terminal.ts";

interface StudyOptions extends OutputOptions {
  readonly out: string;
  readonly root?: string;
  readonly only?: string;
}

const COLUMNS = ["without_pd", "without_d", "both"] as const;
type Column = (typeof COLUMNS)[number];

const whole = (least: number) => v.pipe(v.number(), v.integer(), v.minValue(least));
/** Options of a command, by their long names. */
const flags = v.record(v.pipe(v.string(), v.regex(/^[a-z][a-z-]*$/)), v.union([v.string(), v.number()]));
const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_-]*$/, "names have lower-case letters, digits, - and _"));
const taskSchema = v.strictObject({
  name,
  /** A task known by name; absent: columns as the file names them. */
  task: v.optional(v.string()),
  train: v.string(),
  /** By what the best weights are chosen, and what the table measures unless there is a test set. */
  dev: v.optional(v.string()),
  /** Only the first so many texts of the dev set. */
  "dev-limit": v.optional(whole(1)),
  /** So many texts of the training set choose the best weights, and are not learnt; a test set is measured then. */
  "hold-out": v.optional(whole(1)),
  test: v.optional(v.string()),
  /** A fine-tuned folder, or an encoder to fine-tune. */
  teacher: v.union([v.string(), v.strictObject({ from: v.string(), finetune: v.optional(flags, {}) })]),
  /** [GeLU, softmax]. */
  pairs: v.pipe(v.array(v.strictTuple([v.string(), v.string()])), v.minLength(1)),
  columns: v.optional(v.array(v.picklist(COLUMNS)), [...COLUMNS]),
  /** Options of `distill` for the column "both", and for the columns without distillation. */
  distill: v.optional(flags, {}),
  labels: v.optional(flags, {}),
  /** Options of every training. */
  common: v.optional(flags, {}),
  /** Texts of the dev set that the distilled student answers under MPC: all, or the first so many. */
  private: v.optional(v.union([v.boolean(), whole(1)]), true),
  /** Tokens of the text whose private inference is timed. */
  length: v.optional(whole(3)),
});
type StudyTask = v.InferOutput<typeof taskSchema>;
const measurable = v.check<StudyTask, string>(
  (task) => (task.dev === undefined) !== (task["hold-out"] === undefined) && (task.dev ?? task.test) !== undefined,
  "a task has dev, or hold-out and test",
);
const studySchema = v.strictObject({
  title: v.string(),
  tasks: v.pipe(v.array(v.pipe(taskSchema, measurable)), v.minLength(1)),
});

const trained = v.looseObject({
  stages: v.array(v.looseObject({ after: v.nullable(v.record(v.string(), v.number())) })),
});
const evaluated = v.looseObject({
  metric: v.string(),
  value: v.number(),
  texts: v.number(),
  agreement: v.optional(v.number()),
  clear_value: v.optional(v.number()),
  outside_range: v.optional(v.number()),
});
/** Bytes by direction. */
const bytes = v.record(v.string(), v.number());
const benched = v.looseObject({
  online: v.looseObject({ flights: v.number(), bytes }),
  offline: v.looseObject({ bytes }),
  seconds: v.looseObject({ online: v.number(), offline: v.number() }),
});

export function addStudy(program: Command): void {
  const command = program
    .command("study")
    .description(
      "remake MPCFormer's tables: pairs of approximations, without and with distillation, in the clear and under MPC",
    )
    .argument("<file>", 'a study in YAML (docs/training.md, "Studies")')
    .requiredOption("--out <dir>", "where models and results go; a study that was stopped goes on from here")
    .option("--root <dir>", "where the study's paths begin (default: the file's own folder)")
    .option("--only <names>", "only these of its tasks, separated by commas");
  output(command).action(study);
}

/** Runs what is missing of a study and writes its table as Markdown, JSON and SVG. */
async function study(path: string, options: StudyOptions): Promise<void> {
  const { title, tasks } = await readStudy(path);
  const root = options.root ?? resolve(path, "..");
  const wanted = tasks.filter((task) => options.only === undefined || options.only.split(",").includes(task.name));
  if (wanted.length === 0)
    throw new UsageError(`--only takes names of ${path}: ${tasks.map((t) => t.name).join(", ")}`);
  const runner = new Runner(options.out, options.json ?? false);
  let rows: Row[] = [];
  for (const task of wanted) {
    await new TaskRun(task, root, runner).finish();
    rows = await writeResults(options.out, title, tasks, (one) => new TaskRun(one, root, runner).rows());
  }
  if (options.json) return printJson({ title, rows });
  print(studyMarkdown(title, rows));
}

/** Writes what is known by now of all tasks. */
async function writeResults(
  out: string,
  title: string,
  tasks: readonly StudyTask[],
  rowsOf: (task: StudyTask) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const task of tasks) rows.push(...(await rowsOf(task)));
  await writeFile(join(out, "results.md"), studyMarkdown(title, rows));
  await writeFile(join(out, "results.json"), `${JSON.stringify({ title, rows }, null, 2)}\n`);
  await writeChart(join(out, "results.svg"), ({ studySvg }) => studySvg(title, rows));
  await writeChart(join(out, "cost.svg"), ({ costSvg }) => costSvg(title, rows));
  return rows;
}

async function readStudy(path: string): Promise<v.InferOutput<typeof studySchema>> {
  const text = await readTextFile(path, "give a study's file");
  let content: unknown;
  try {
    content = parse(text);
  } catch (cause) {
    throw new Failure(`${path} cannot be read as YAML: give a study's file`, { cause });
  }
  const result = v.safeParse(studySchema, content);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new Failure(`${path}, ${v.getDotPath(issue) ?? "top level"}: ${saidOf(issue)}`);
}

/** Valibot's own messages end in the value, which stays unsaid. */
function saidOf({ message }: v.BaseIssue<unknown>): string {
  return message.replace(/^Invalid type: Expected /, "give ").replace(/ but received [\s\S]*$/, "");
}

/** Runs commands whose result is not there yet. */
class Runner {
  readonly out: string;
  readonly #quiet: boolean;

  constructor(out: string, quiet: boolean) {
    this.out = out;
    this.#quiet = quiet;
  }

  /** The result kept under a name, if there is one. */
  async known(id: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(join(this.out, `${id}.json`), "utf8"));
    } catch {
      return undefined;
    }
  }

  async run(id: string, args: readonly string[]): Promise<void> {
    if ((await this.known(id)) !== undefined) return;
    if (!this.#quiet) note(`${id}: mpcformer ${args[0]}`);
    const started = performance.now();
    const shown = !this.#quiet && args[0] !== "bench"; // which takes seconds
    const result = await runJson([...args, ...(shown ? ["--progress"] : [])], shown);
    const file = join(this.out, `${id}.json`);
    await mkdir(resolve(file, ".."), { recursive: true });
    await writeFile(file, `${JSON.stringify(result)}\n`);
    if (!this.#quiet) note(`${id}: done in ${((performance.now() - started) / 60_000).toFixed(1)} min`);
  }
}

/** One task's commands, and what they found. */
class TaskRun {
  readonly #task: StudyTask;
  readonly #root: string;
  readonly #runner: Runner;

  constructor(task: StudyTask, root: string, runner: Runner) {
    this.#task = task;
    this.#root = root;
    this.#runner = runner;
  }

  async finish(): Promise<void> {
    const { teacher, pairs, columns, length } = this.#task;
    if (typeof teacher !== "string") {
      const args = [
        "finetune",
        "--from",
        this.#path(teacher.from),
        "--out",
        this.#teacher(),
        ...this.#data(),
        ...list(teacher.finetune),
      ];
      await this.#runner.run(this.#id("teacher"), args);
    }
    await this.#runner.run(this.#id("teacher-clear"), this.#evaluate(this.#teacher()));
    if (length !== undefined) await this.#runner.run(this.#id("teacher-bench"), this.#bench(this.#teacher(), length));
    for (const pair of pairs) {
      for (const column of columns) {
        await this.#runner.run(this.#id(pair, column), this.#train(pair, column));
        if (this.#task.test === undefined) continue; // else the training's last words are the table's
        await this.#runner.run(this.#id(pair, column, "clear"), this.#evaluate(this.#folder(pair, column)));
      }
      if (!columns.includes("both")) continue;
      const folder = this.#folder(pair, "both");
      if (this.#task.private !== false)
        await this.#runner.run(this.#id(pair, "private"), this.#evaluate(folder, this.#task.private));
      if (length !== undefined) await this.#runner.run(this.#id(pair, "bench"), this.#bench(folder, length));
    }
  }

  /** The table's rows, as far as results are there. */
  async rows(): Promise<Row[]> {
    const teacher = v.safeParse(evaluated, await this.#runner.known(this.#id("teacher-clear")));
    if (!teacher.success) return [];
    const base = v.safeParse(benched, await this.#runner.known(this.#id("teacher-bench")));
    return Promise.all(
      this.#task.pairs.map(async (pair) => {
        const [gelu, softmax] = pair;
        const value = async (column: Column) => {
          if (this.#task.test !== undefined) {
            const result = v.safeParse(evaluated, await this.#runner.known(this.#id(pair, column, "clear")));
            return result.success ? result.output.value : null;
          }
          const result = v.safeParse(trained, await this.#runner.known(this.#id(pair, column)));
          return result.success ? (result.output.stages.at(-1)?.after?.[teacher.output.metric] ?? null) : null;
        };
        const hidden = v.safeParse(evaluated, await this.#runner.known(this.#id(pair, "private")));
        const timed = v.safeParse(benched, await this.#runner.known(this.#id(pair, "bench")));
        const seconds = (b: v.InferOutput<typeof benched>) => b.seconds.online + b.seconds.offline;
        return {
          task: this.#task.name,
          model: basename(this.#encoder()),
          paper: published(this.#task.task ?? "", gelu, softmax),
          gelu,
          softmax,
          metric: teacher.output.metric,
          measured_on: this.#task.test === undefined ? ("dev" as const) : ("test" as const),
          teacher: teacher.output.value,
          without_pd: await value("without_pd"),
          without_d: await value("without_d"),
          both: await value("both"),
          private: hidden.success
            ? {
                texts: hidden.output.texts,
                value: hidden.output.value,
                clear_value: hidden.output.clear_value ?? null,
                agreement: hidden.output.agreement ?? null,
                outside_range: hidden.output.outside_range ?? null,
              }
            : null,
          cost: timed.success
            ? {
                length: this.#task.length ?? 0,
                flights: timed.output.online.flights,
                online_bytes: total(timed.output.online.bytes),
                offline_bytes: total(timed.output.offline.bytes),
                online_seconds: timed.output.seconds.online,
                offline_seconds: timed.output.seconds.offline,
                speed_up: base.success ? seconds(base.output) / seconds(timed.output) : null,
                online_speed_up: base.success ? base.output.seconds.online / timed.output.seconds.online : null,
              }
            : null,
        };
      }),
    );
  }

  /** Both columns without distillation learn from the labels alone; they differ in the weights they begin with. */
  #train(pair: readonly [string, string], column: Column): string[] {
    const { distill, labels } = this.#task;
    const [gelu, softmax] = pair;
    const start = [
      "distill",
      "--teacher",
      this.#teacher(),
      "--out",
      this.#folder(pair, column),
      "--gelu",
      gelu,
      "--softmax",
      softmax,
    ];
    if (column === "both") return [...start, ...this.#data(), ...list(distill)];
    const alone = ["--layers-epochs", "0", "--prediction", "0", "--labels", "1"];
    const from = ["--student", column === "without_pd" ? "scratch" : "teacher"];
    return [...start, ...this.#data(), ...from, ...alone, ...list(labels)];
  }

  #evaluate(folder: string, underMpc?: boolean | number): string[] {
    const { dev, test, task } = this.#task;
    const named = task === undefined ? [] : ["--task", task];
    const most = typeof underMpc === "number" ? underMpc : this.#task["dev-limit"];
    const limit = most === undefined ? [] : ["--limit", String(most)];
    return [
      "evaluate",
      folder,
      "--data",
      this.#path(test ?? dev ?? ""),
      ...named,
      ...(underMpc === undefined ? ["--no-range-check"] : ["--private"]),
      ...limit,
    ];
  }

  #bench(folder: string, length: number): string[] {
    return ["bench", folder, "--length", String(length)];
  }

  #data(): string[] {
    const { train, dev, task, common, "dev-limit": most, "hold-out": held } = this.#task;
    const named = task === undefined ? [] : ["--task", task];
    const limit = most === undefined ? [] : ["--dev-limit", String(most)];
    const selection = dev === undefined ? ["--hold-out", String(held)] : ["--dev", this.#path(dev), ...limit];
    return ["--data", this.#path(train), ...selection, ...named, ...list(common)];
  }

  /** What the teacher was made from, or the teacher itself. */
  #encoder(): string {
    const { teacher } = this.#task;
    return typeof teacher === "string" ? teacher : teacher.from;
  }

  #teacher(): string {
    const { teacher } = this.#task;
    return typeof teacher === "string" ? this.#path(teacher) : join(this.#runner.out, this.#task.name, "teacher");
  }

  #folder([gelu, softmax]: readonly [string, string], column: Column): string {
    return join(this.#runner.out, this.#task.name, `${gelu}+${softmax}`.replaceAll(":", "_"), column);
  }

  #id(...parts: readonly (string | readonly [string, string])[]): string {
    const names = parts.map((part) => (typeof part === "string" ? part : part.join("+").replaceAll(":", "_")));
    return join(this.#task.name, "results", names.join("."));
  }

  #path(path: string): string {
    return isAbsolute(path) ? path : join(this.#root, path);
  }
}

function total(byDirection: v.InferOutput<typeof bytes>): number {
  return Object.values(byDirection).reduce((sum, n) => sum + n, 0);
}

function list(options: v.InferOutput<typeof flags>): string[] {
  return Object.entries(options).flatMap(([option, value]) => [`--${option}`, String(value)]);
}

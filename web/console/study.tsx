/** Studies: accuracy against speed for each pair of stand-ins. */
import { useState } from "preact/hooks";
import type { Row, Study } from "../../src/console/study.ts";
import { Choice } from "./choice.tsx";
import { Legend } from "./legend.tsx";
import { COLUMNS, isServed, type Pair, pairsOf, type Teacher, tasksOf, teacherOf } from "./points.ts";
import { Scatter, SHAPES } from "./scatter.tsx";
import { Section, Table } from "./table.tsx";
import { bytes, count, percent, seconds } from "./words.ts";

const LEGEND = [
  { name: "both", text: "distilled from the teacher", mark: SHAPES.both },
  { name: "without_d", text: "the teacher's weights, trained on labels alone", mark: SHAPES.without_d },
  { name: "without_pd", text: "random weights, trained on labels alone", mark: SHAPES.without_pd },
  { name: "teacher", text: "teacher, exact functions", mark: SHAPES.teacher },
] as const;

const VIEWS = { all: "with distillation and without", both: "distilled alone" } as const;
type View = keyof typeof VIEWS;

interface StudyProps {
  readonly study: Study;
  /** What is served now. */
  readonly model: { readonly gelu: string; readonly softmax: string } | null;
}

export function Studies({ study, model }: StudyProps) {
  const tasks = tasksOf(study.rows);
  const [task, setTask] = useState(tasks[0]);
  const [view, setView] = useState<View>("all");
  const columns = view === "all" ? COLUMNS : (["both"] as const);
  const pairs = pairsOf(study.rows, task, columns);
  const teacher = teacherOf(study.rows, task);
  const { metric } = study.rows.find((row) => row.task === task)!;
  return (
    <Section title="Study">
      <p>{study.title}</p>
      <div class="choices">
        <Choice label="Task" value={task} options={tasks} onChoose={setTask} />
        <Choice
          label="Students"
          value={view}
          options={Object.keys(VIEWS)}
          names={VIEWS}
          onChoose={(name) => setView(name as View)}
        />
      </div>
      {pairs.length === 0 ? (
        <p>No pair of this task was both trained and timed.</p>
      ) : (
        <>
          <Legend entries={LEGEND.filter(({ name }) => name === "teacher" || columns.some((c) => c === name))} />
          <Scatter title={said(pairs, task)} metric={metric} pairs={pairs} columns={columns} teacher={teacher} />
          <StudyTable pairs={pairs} teacher={teacher} task={task} metric={metric} model={model} />
        </>
      )}
    </Section>
  );
}

function said(pairs: readonly Pair[], task: string): string {
  const choices = pairs.filter((pair) => pair.choice);
  const words = choices.map((pair) => `${pair.name} has ${percent(pair.best)} in ${seconds(pair.seconds)}`);
  return `Accuracy against seconds online on ${task}; no pair is both faster and better than these: ${words.join("; ")}`;
}

interface StudyTableProps extends Pick<StudyProps, "model"> {
  readonly pairs: readonly Pair[];
  readonly teacher: Teacher;
  readonly task: string;
  readonly metric: string;
}

const HEAD = [
  "GeLU + softmax",
  "Online",
  "Distilled",
  "Under MPC",
  "Teacher's weights",
  "Random weights",
  "Speed-up",
  "Bytes online",
  "Worth choosing",
] as const;

function StudyTable({ pairs, teacher, task, metric, model }: StudyTableProps) {
  const rows = pairs.map((pair) => [...numbersOf(pair.row, pair), remark(pair, model)]);
  const exact = [
    "teacher, exact functions",
    teacher.seconds === null ? "–" : seconds(teacher.seconds),
    percent(teacher.score),
    ...["–", "–", "–", "1.00", "–", "–"],
  ];
  return (
    <>
      <p class="note">Worth choosing: no other pair is both faster and better. The line joins those pairs.</p>
      <Table caption={`${task}: ${metric} in hundredths`} head={HEAD} rows={[...rows, exact]} />
    </>
  );
}

function numbersOf({ private: hidden, cost }: Row, { name, seconds: s, scores }: Pair): string[] {
  return [
    name,
    seconds(s),
    percent(scores.both),
    hidden === null ? "–" : `${percent(hidden.value)} (${count(hidden.texts)} texts)`,
    percent(scores.without_d),
    percent(scores.without_pd),
    cost?.online_speed_up == null ? "–" : cost.online_speed_up.toFixed(2),
    cost === null ? "–" : bytes(cost.online_bytes),
  ];
}

function remark(pair: Pair, model: StudyProps["model"]): string {
  return `${pair.choice ? "yes" : "no"}${isServed(pair, model) ? ", served now" : ""}`;
}

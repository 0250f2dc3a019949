/** A study's results for people: a table in Markdown. */
import type { Row } from "../console/study.ts";
import { formatBytes } from "./format.ts";

/** @returns the table, with a line that says how to read it. */
export function studyMarkdown(title: string, rows: readonly Row[]): string {
  const head = [
    "task",
    "GeLU + softmax",
    "metric",
    "teacher",
    "w/o p,d",
    "w/o d",
    "both",
    "both under MPC (clear)",
    "labels equal",
    "speed-up (online)",
    "flights",
    "bytes online",
  ];
  const body = rows.map((row) => {
    const { private: hidden, cost } = row;
    const share = (value: number | null | undefined) =>
      value === null || value === undefined ? "" : (100 * value).toFixed(1);
    return [
      row.task,
      `${row.gelu} + ${row.softmax}`,
      row.measured_on === "test" ? `${row.metric}, test` : row.metric,
      share(row.teacher),
      share(row.without_pd),
      share(row.without_d),
      share(row.both),
      hidden === null ? "" : privately(row.metric, hidden),
      hidden?.agreement === null || hidden === null ? "" : `${(100 * hidden.agreement).toFixed(2)}%`,
      cost?.speed_up == null ? "" : `${cost.speed_up.toFixed(2)} (${(cost.online_speed_up ?? 0).toFixed(2)})`,
      cost === null ? "" : `${cost.flights} at ${cost.length}`,
      cost === null ? "" : formatBytes(cost.online_bytes),
    ];
  });
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const explained =
    "Metrics of the dev set, which chose the best weights too; of the test set where it says so. " +
    "w/o p,d: random weights, labels alone. w/o d: the teacher's weights, labels alone. both: distilled from the teacher. " +
    "Speed-up: one private inference, offline and online (online alone), over the teacher with exact GeLU and softmax.";
  const table = [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n");
  return `# ${title}\n\n${table}\n\n${explained}\n${besidePaper(rows)}`;
}

/** The paper's numbers and these, each with its model's name; nothing where it has none of these rows. */
function besidePaper(rows: readonly Row[]): string {
  const known = rows.flatMap((row) => (row.paper === null ? [] : [{ ...row, paper: row.paper }]));
  if (known.length === 0) return "";
  const cell = (value: number | null, digits = 1) => (value === null ? "" : value.toFixed(digits));
  const share = (value: number | null) => cell(value === null ? null : 100 * value);
  const kept = (student: number | null, teacher: number) =>
    student === null || teacher === 0 ? "" : `${((100 * student) / teacher).toFixed(1)}%`;
  const lines = known.flatMap(({ paper, ...own }) => [
    [
      own.task,
      `${own.gelu} + ${own.softmax}`,
      `paper: ${paper.model}`,
      cell(paper.teacher),
      cell(paper.without_pd),
      cell(paper.without_d),
      cell(paper.both),
      kept(paper.both, paper.teacher),
      cell(paper.speed_up, 2),
    ],
    [
      "",
      "",
      `here: ${own.model}`,
      share(own.teacher),
      share(own.without_pd),
      share(own.without_d),
      share(own.both),
      kept(own.both, own.teacher),
      cell(own.cost?.speed_up ?? null, 2),
    ],
  ]);
  const head = ["task", "GeLU + softmax", "model", "teacher", "w/o p,d", "w/o d", "both", "both / teacher", "speed-up"];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const table = [line(head), line(head.map(() => "---")), ...lines.map(line)].join("\n");
  return `\n## Beside MPCFormer's own numbers\n\n${table}\n\nThe paper's speed-up is its engine's (CrypTen), of GLUE's tasks their average.\n`;
}

/** A metric under MPC, of shares with the half of its 95% interval, beside that of the same texts in the clear. */
function privately(metric: string, { value, clear_value, texts }: NonNullable<Row["private"]>): string {
  const interval = metric === "accuracy" ? ` ± ${(196 * Math.sqrt((value * (1 - value)) / texts)).toFixed(1)}` : "";
  const clear = clear_value === null ? "" : ` (${(100 * clear_value).toFixed(1)})`;
  return `${(100 * value).toFixed(1)}${interval}${clear} of ${texts}`;
}

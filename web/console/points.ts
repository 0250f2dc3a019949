/** A study's rows as points: how good and how fast each pair of stand-ins is, with distillation and without. */
import type { Row } from "../../src/console/study.ts";

export const COLUMNS = ["both", "without_d", "without_pd"] as const;
export type Column = (typeof COLUMNS)[number];

/** One pair of stand-ins. */
export interface Pair {
  readonly name: string;
  readonly seconds: number;
  /** By column; null where it was not trained. */
  readonly scores: Readonly<Record<Column, number | null>>;
  /** The best of its columns. */
  readonly best: number;
  /** No other pair is both faster and better. */
  readonly choice: boolean;
  readonly row: Row;
}

export function tasksOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.map((row) => row.task))];
}

/** The pairs of one task that were timed and trained in one of the columns, fastest first. */
export function pairsOf(rows: readonly Row[], task: string, columns: readonly Column[] = COLUMNS): Pair[] {
  const pairs = rows.flatMap((row) => {
    const { both, without_d, without_pd, cost } = row;
    const scores = { both, without_d, without_pd };
    const trained = columns.map((column) => scores[column]).filter((score) => score !== null);
    if (row.task !== task || cost === null || trained.length === 0) return [];
    const name = `${row.gelu} + ${row.softmax}`;
    return [{ name, seconds: cost.online_seconds, scores, best: Math.max(...trained), row }];
  });
  const beaten = (a: { seconds: number; best: number }) =>
    pairs.some((b) => b.seconds <= a.seconds && b.best >= a.best && (b.seconds < a.seconds || b.best > a.best));
  return pairs.map((pair) => ({ ...pair, choice: !beaten(pair) })).sort((a, b) => a.seconds - b.seconds);
}

export interface Teacher {
  readonly score: number;
  /** With its exact functions, by the speed-up of a pair over it; null where that was not measured. */
  readonly seconds: number | null;
}

export function teacherOf(rows: readonly Row[], task: string): Teacher {
  const own = rows.filter((row) => row.task === task);
  const timed = own.find((row) => row.cost?.online_speed_up != null)?.cost;
  return { score: own[0].teacher, seconds: timed ? timed.online_seconds * (timed.online_speed_up ?? 0) : null };
}

/** Whether a pair is the one that is served; a study's name without a parameter stands for any. */
export function isServed({ row }: Pair, model: { readonly gelu: string; readonly softmax: string } | null): boolean {
  const same = (studied: string, served: string) =>
    studied === served || (!studied.includes(":") && served.startsWith(`${studied}:`));
  return model !== null && same(row.gelu, model.gelu) && same(row.softmax, model.softmax);
}

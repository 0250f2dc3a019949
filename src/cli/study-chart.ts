/** A study's results as bars in SVG. */
import { scaleBand, scaleLinear } from "d3-scale";
import type { Row } from "../console/study.ts";

const BARS = [
  ["teacher", "#57606a"],
  ["without_pd", "#d1570c"],
  ["without_d", "#e3b341"],
  ["both", "#1f6feb"],
  ["private", "#2da44e"],
] as const;
const LEGEND = {
  teacher: "teacher",
  without_pd: "w/o p,d",
  without_d: "w/o d",
  both: "both",
  private: "both, under MPC",
};

/** A group of bars for every row. */
export function studySvg(title: string, rows: readonly Row[]): string {
  const [width, height, left, bottom, top] = [Math.max(600, 130 * rows.length + 60), 320, 40, 60, 48];
  const groups = scaleBand(
    rows.map((_, i) => String(i)),
    [left, width - 10],
  ).padding(0.2);
  const bars = scaleBand(
    BARS.map(([name]) => name),
    [0, groups.bandwidth()],
  ).padding(0.08);
  const y = scaleLinear([0, 1], [height - bottom, top]);
  const valueIn = (row: Row, name: (typeof BARS)[number][0]) =>
    name === "private" ? (row.private?.value ?? null) : row[name];
  const drawn = rows.flatMap((row, i) => {
    const x = groups(String(i)) ?? 0;
    const marks = BARS.flatMap(([name, colour]) => {
      const value = valueIn(row, name);
      if (value === null) return [];
      const shown = Math.max(0, value);
      const at = x + (bars(name) ?? 0);
      return [
        `<rect x="${at}" y="${y(shown)}" width="${bars.bandwidth()}" height="${y(0) - y(shown)}" fill="${colour}"/>`,
        `<text x="${at + bars.bandwidth() / 2}" y="${y(shown) - 3}" text-anchor="middle" font-size="8">${(100 * value).toFixed(1)}</text>`,
      ];
    });
    const middle = x + groups.bandwidth() / 2;
    const names = [`${row.task} (${row.metric})`, `${row.gelu} + ${row.softmax}`];
    const labels = names.map(
      (text, j) => `<text x="${middle}" y="${height - bottom + 16 + 14 * j}" text-anchor="middle">${text}</text>`,
    );
    return [...marks, ...labels];
  });
  const ticks = y
    .ticks(5)
    .map(
      (t) =>
        `<text x="${left - 6}" y="${y(t) + 4}" text-anchor="end">${100 * t}</text><line x1="${left}" x2="${width - 10}" y1="${y(t)}" y2="${y(t)}" stroke="#d0d7de"/>`,
    );
  const legend = BARS.map(
    ([name, colour], i) =>
      `<rect x="${left + 105 * i}" y="26" width="10" height="10" fill="${colour}"/><text x="${left + 14 + 105 * i}" y="35">${LEGEND[name]}</text>`,
  );
  const heading = `<text x="${left}" y="16" font-size="13">${title.replace(/[<&]/g, " ")}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="10">${[heading, ...ticks, ...drawn, ...legend].join("")}</svg>\n`;
}

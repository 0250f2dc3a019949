/** A study's accuracy against its cost: a point for every pair of stand-ins whose inference was timed. */

import { scaleLinear } from "d3-scale";
import type { Row } from "../console/study.ts";

const COLOURS = ["#1f6feb", "#d1570c", "#2da44e", "#8250df", "#bf3989", "#9a6700", "#57606a"];
const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 360, 56, 150, 44, 44];

/** Across: seconds of one private inference, offline and online. Up: the student's share of its teacher's metric. */
export function costSvg(title: string, rows: readonly Row[]): string {
  const points = rows.flatMap(({ task, gelu, softmax, teacher, both, cost }) =>
    cost === null || both === null || teacher <= 0
      ? []
      : [
          {
            task,
            name: `${gelu} + ${softmax}`,
            seconds: cost.online_seconds + cost.offline_seconds,
            share: both / teacher,
          },
        ],
  );
  const x = scaleLinear([0, 1.1 * Math.max(0.1, ...points.map((p) => p.seconds))], [LEFT, WIDTH - RIGHT]);
  const least = Math.min(0.98, ...points.map((p) => p.share));
  const most = Math.max(1, ...points.map((p) => p.share));
  const margin = 0.1 * (most - least);
  const y = scaleLinear([least - margin, most + margin], [HEIGHT - BOTTOM, TOP]);
  const tasks = [...new Set(points.map((p) => p.task))];
  const colour = (task: string) => COLOURS[tasks.indexOf(task) % COLOURS.length];
  const safe = (text: string) => text.replace(/[<&]/g, " ");
  const marks = points.map(({ task, name, seconds, share }) => {
    const at = `<circle cx="${x(seconds)}" cy="${y(share)}" r="4" fill="${colour(task)}"/>`;
    return `${at}<text x="${x(seconds) + 7}" y="${y(share) + 3}">${safe(`${task}: ${name}`)}</text>`;
  });
  const across = x
    .ticks(6)
    .map((t) => `<text x="${x(t)}" y="${HEIGHT - BOTTOM + 14}" text-anchor="middle">${t}</text>`);
  const up = y
    .ticks(5)
    .map(
      (t) =>
        `<text x="${LEFT - 6}" y="${y(t) + 3}" text-anchor="end">${(100 * t).toFixed(1)}%</text><line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(t)}" y2="${y(t)}" stroke="#d0d7de"/>`,
    );
  const words = [
    `<text x="${LEFT}" y="16" font-size="13">${safe(title)}</text>`,
    `<text x="${LEFT}" y="32">student's metric, of its teacher's</text>`,
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">seconds of one private inference, offline and online</text>`,
  ];
  const parts = [...words, ...up, ...across, ...marks].join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="10">${parts}</svg>\n`;
}

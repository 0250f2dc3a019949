/** Curves of a training as SVG. */
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import type { Point, StageCurves } from "./curves.ts";

const [WIDTH, HEIGHT, MARGIN] = [420, 240, 48];
const [LOSS, DEV, AXIS] = ["#1f6feb", "#d1570c", "#57606a"];

/** One panel a stage, side by side: the loss on a logarithmic axis at the left, the metric at the right. */
export function stageCurves(stages: readonly StageCurves[]): string {
  const panels = stages.map((stage, i) => `<g transform="translate(${i * WIDTH} 0)">${panel(stage)}</g>`);
  const width = Math.max(1, stages.length) * WIDTH;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" font-family="sans-serif" font-size="11">${panels.join("")}</svg>\n`;
}

function panel({ name, loss, metric, dev }: StageCurves): string {
  const last = Math.max(1, ...[...loss, ...dev].map(([step]) => step));
  const x = scaleLinear([0, last], [MARGIN, WIDTH - MARGIN]);
  const positive = loss.filter(([, value]) => value > 0);
  const lossY = scaleLog(
    extent(
      positive.map(([, value]) => value),
      1.1,
    ),
    [HEIGHT - MARGIN, MARGIN / 2],
  );
  const devY = scaleLinear(
    extent(
      dev.map(([, value]) => value),
      0,
    ),
    [HEIGHT - MARGIN, MARGIN / 2],
  ).nice();
  const path = (points: readonly Point[], y: (value: number) => number, colour: string) =>
    `<path fill="none" stroke="${colour}" stroke-width="1.5" d="${line<Point>()
      .x(([step]) => x(step))
      .y(([, value]) => y(value))(points)}"/>`;
  const parts = [
    `<text x="${WIDTH / 2}" y="${HEIGHT - 8}" text-anchor="middle" fill="${AXIS}">${name}: steps</text>`,
    ...x
      .ticks(5)
      .map((t) => `<text x="${x(t)}" y="${HEIGHT - MARGIN + 16}" text-anchor="middle" fill="${AXIS}">${t}</text>`),
    `<line x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${HEIGHT - MARGIN}" y2="${HEIGHT - MARGIN}" stroke="${AXIS}"/>`,
  ];
  if (positive.length > 0) {
    const labels = lossY.ticks(4).filter((_, i, all) => all.length < 8 || i % 3 === 0);
    parts.push(path(positive, lossY, LOSS), `<text x="${MARGIN}" y="14" fill="${LOSS}">loss</text>`);
    parts.push(
      ...labels.map((t) => `<text x="${MARGIN - 6}" y="${lossY(t) + 4}" text-anchor="end" fill="${LOSS}">${t}</text>`),
    );
  }
  if (dev.length > 0 && metric !== null) {
    parts.push(
      path(dev, devY, DEV),
      `<text x="${WIDTH - MARGIN}" y="14" text-anchor="end" fill="${DEV}">dev ${metric}</text>`,
    );
    parts.push(
      ...devY.ticks(5).map((t) => `<text x="${WIDTH - MARGIN + 6}" y="${devY(t) + 4}" fill="${DEV}">${t}</text>`),
    );
  }
  return parts.join("");
}

/** Smallest and largest value, apart from each other; widened by a factor where one is given. */
function extent(values: readonly number[], factor: number): [number, number] {
  if (values.length === 0) return [0.1, 1];
  const [lo, hi] = [Math.min(...values), Math.max(...values)];
  if (factor > 0) return [lo / factor, hi * factor];
  return lo === hi ? [lo - 0.01, hi + 0.01] : [lo, hi];
}

/** Accuracy against speed: the picture to choose stand-ins by. */
import { type ScaleLinear, scaleLinear } from "d3-scale";
import { type Box, needsLine, placed, type Wanted } from "./labels.ts";
import { MarkOf, type MarkShape } from "./marks.tsx";
import { COLUMNS, type Column, type Pair, type Teacher } from "./points.ts";
import { useWidth } from "./width.ts";
import { percent, seconds } from "./words.ts";

export const SHAPES: Readonly<Record<Column | "teacher", MarkShape>> = {
  both: "circle",
  without_d: "ring",
  without_pd: "triangle",
  teacher: "diamond",
};

interface ScatterProps {
  readonly title: string;
  readonly metric: string;
  readonly pairs: readonly Pair[];
  readonly teacher: Teacher;
}

interface Scales {
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
}

const [LEFT, RIGHT, TOP, BOTTOM] = [40, 14, 24, 40];
/** Of the labels' text. */
const [CHARACTER, LINE, MARK] = [6.6, 16, 14];

export function Scatter({ title, metric, pairs, teacher }: ScatterProps) {
  const { place, width } = useWidth();
  const height = width < 480 ? 320 : 380;
  const scales = scalesFor(pairs, teacher, width, height);
  return (
    <div ref={place} class="chart">
      <svg width={width} height={height} role="img" aria-label={title}>
        <Axes {...scales} width={width} height={height} metric={metric} />
        <Front pairs={pairs} {...scales} />
        {pairs.map((pair) => (
          <PairMarks key={pair.name} pair={pair} {...scales} />
        ))}
        {teacher.seconds !== null && (
          <g class="mark teacher" transform={`translate(${scales.x(teacher.seconds)} ${scales.y(teacher.score)})`}>
            <title>{`teacher, exact functions: ${percent(teacher.score)} in ${seconds(teacher.seconds)}`}</title>
            <MarkOf shape={SHAPES.teacher} />
          </g>
        )}
        <Labels pairs={pairs} teacher={teacher} {...scales} width={width} height={height} />
      </svg>
    </div>
  );
}

function scalesFor(pairs: readonly Pair[], teacher: Teacher, width: number, height: number): Scales {
  const slowest = Math.max(...pairs.map((pair) => pair.seconds), teacher.seconds ?? 0);
  const scores = pairs.flatMap((pair) => COLUMNS.map((column) => pair.scores[column]).filter((s) => s !== null));
  const all = [...scores, teacher.score];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const room = Math.max(0.01, (most - least) * 0.08);
  return {
    x: scaleLinear([0, slowest * 1.05], [LEFT, width - RIGHT]).nice(5),
    y: scaleLinear([least - room, most + room], [height - BOTTOM, TOP]).nice(5),
  };
}

function Axes({ x, y, width, height, metric }: Scales & { width: number; height: number; metric: string }) {
  return (
    <>
      {y.ticks(5).map((tick) => (
        <g key={tick} transform={`translate(0 ${y(tick)})`}>
          <line class="grid" x1={LEFT} x2={width - RIGHT} />
          <text class="quiet" x={LEFT - 6} dy="0.35em" text-anchor="end">
            {Math.round(100 * tick)}
          </text>
        </g>
      ))}
      {x.ticks(5).map((tick) => (
        <text key={tick} class="quiet" x={x(tick)} y={height - BOTTOM + 16} text-anchor="middle">
          {tick}
        </text>
      ))}
      <text class="quiet" x={0} y={12}>
        {metric}, in hundredths: higher is better
      </text>
      <text class="quiet" x={width - RIGHT} y={height - 6} text-anchor="end">
        seconds online: further left is better
      </text>
    </>
  );
}

/** Joins the pairs that no other is both faster and better than. */
function Front({ pairs, x, y }: Scales & { pairs: readonly Pair[] }) {
  const points = pairs.filter((pair) => pair.choice).map((pair) => `${x(pair.seconds)},${y(pair.best)}`);
  return points.length > 1 ? <polyline class="front" points={points.join(" ")} /> : null;
}

/** A pair's columns stand over one another: they are equally fast. */
function PairMarks({ pair, x, y }: Scales & { pair: Pair }) {
  const marks = COLUMNS.flatMap((column) => {
    const score = pair.scores[column];
    return score === null ? [] : [{ column, score }];
  });
  const scores = marks.map((mark) => mark.score);
  return (
    <g transform={`translate(${x(pair.seconds)} 0)`}>
      <line class="stem" y1={y(Math.min(...scores))} y2={y(Math.max(...scores))} />
      {marks.map(({ column, score }) => (
        <g key={column} class={`mark ${column}`} transform={`translate(0 ${y(score)})`}>
          <title>{`${pair.name}: ${percent(score)} in ${seconds(pair.seconds)}`}</title>
          <MarkOf shape={SHAPES[column]} />
        </g>
      ))}
    </g>
  );
}

type LabelsProps = Scales & { pairs: readonly Pair[]; teacher: Teacher; width: number; height: number };

function Labels({ pairs, teacher, x, y, width, height }: LabelsProps) {
  const named = pairs.map((pair) => ({ text: pair.name, x: x(pair.seconds), y: y(pair.best) }));
  if (teacher.seconds !== null) named.push({ text: "teacher", x: x(teacher.seconds), y: y(teacher.score) });
  const wanted = named.map((one): Wanted => ({ ...one, width: one.text.length * CHARACTER, height: LINE }));
  const bounds = { left: LEFT, top: TOP - 6, width: width - LEFT, height: height - TOP - BOTTOM + 6 };
  const boxes = placed(wanted, [...named.map(markBox), ...lowerMarks(pairs, x, y)], bounds);
  return (
    <>
      {boxes.map((box, i) => (
        <Label key={named[i].text} text={named[i].text} wanted={wanted[i]} box={box} />
      ))}
    </>
  );
}

function lowerMarks(pairs: readonly Pair[], x: Scales["x"], y: Scales["y"]): Box[] {
  return pairs.flatMap((pair) =>
    COLUMNS.flatMap((column) => {
      const score = pair.scores[column];
      return score === null ? [] : [markBox({ x: x(pair.seconds), y: y(score) })];
    }),
  );
}

function markBox({ x, y }: { readonly x: number; readonly y: number }): Box {
  return { left: x - MARK / 2, top: y - MARK / 2, width: MARK, height: MARK };
}

function Label({ text, wanted, box }: { text: string; wanted: Wanted; box: Box }) {
  const [middleX, middleY] = [box.left + box.width / 2, box.top + box.height / 2];
  const nearest = Math.min(Math.max(wanted.x, box.left), box.left + box.width);
  return (
    <>
      {needsLine(wanted, box) && <line class="leader" x1={wanted.x} y1={wanted.y} x2={nearest} y2={middleY} />}
      <text class="label" x={middleX} y={middleY} dy="0.35em" text-anchor="middle">
        {text}
      </text>
    </>
  );
}

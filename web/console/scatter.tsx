/** Accuracy against speed: the picture to choose stand-ins by. */
import { type ScaleLinear, scaleLinear } from "d3-scale";
import { type Box, needsLine, placed, type Wanted } from "./labels.ts";
import { MarkOf, type MarkShape } from "./marks.tsx";
import type { Column, Pair, Teacher } from "./points.ts";
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
  /** Those that are shown. */
  readonly columns: readonly Column[];
  readonly teacher: Teacher;
}

interface Scales {
  readonly x: ScaleLinear<number, number>;
  readonly y: ScaleLinear<number, number>;
}

const [LEFT, RIGHT, TOP, BOTTOM] = [40, 14, 24, 40];
/** Of the labels' text. */
const [CHARACTER, LINE, MARK] = [6.9, 16, 14];

export function Scatter(props: ScatterProps) {
  const { title, metric, pairs, columns, teacher } = props;
  const { place, width } = useWidth();
  const height = width < 480 ? 320 : 380;
  const scales = scalesFor(props, width, height);
  return (
    <div ref={place} class="chart">
      <svg width={width} height={height} role="img" aria-label={title}>
        <Axes {...scales} width={width} height={height} metric={metric} />
        <Front pairs={pairs} {...scales} />
        {pairs.map((pair) => (
          <PairMarks key={pair.name} pair={pair} columns={columns} {...scales} />
        ))}
        {teacher.seconds !== null && (
          <g class="mark teacher" transform={`translate(${scales.x(teacher.seconds)} ${scales.y(teacher.score)})`}>
            <title>{`teacher, exact functions: ${percent(teacher.score)} in ${seconds(teacher.seconds)}`}</title>
            <MarkOf shape={SHAPES.teacher} />
          </g>
        )}
        <Labels {...props} {...scales} width={width} height={height} />
      </svg>
    </div>
  );
}

function scalesFor({ pairs, columns, teacher }: ScatterProps, width: number, height: number): Scales {
  const times = [...pairs.map((pair) => pair.seconds), ...(teacher.seconds === null ? [] : [teacher.seconds])];
  const [fastest, slowest] = [Math.min(...times), Math.max(...times)];
  const beside = Math.max(0.01 * slowest, (slowest - fastest) * 0.12);
  const scores = pairs.flatMap((pair) => scoresOf(pair, columns).map(({ score }) => score));
  const all = [...scores, teacher.score];
  const [least, most] = [Math.min(...all), Math.max(...all)];
  const room = Math.max(0.01, (most - least) * 0.08);
  return {
    x: scaleLinear([Math.max(0, fastest - beside), slowest + beside], [LEFT, width - RIGHT]),
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
      {x.ticks(Math.min(8, width / 70)).map((tick) => (
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
function PairMarks({ pair, columns, x, y }: Scales & { pair: Pair; columns: readonly Column[] }) {
  const marks = scoresOf(pair, columns);
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

type LabelsProps = Scales & ScatterProps & { width: number; height: number };

function Labels({ pairs, columns, teacher, x, y, width, height }: LabelsProps) {
  const named = pairs.map((pair) => ({ text: pair.name, x: x(pair.seconds), y: y(pair.best) }));
  if (teacher.seconds !== null) named.push({ text: "teacher", x: x(teacher.seconds), y: y(teacher.score) });
  const wanted = named.map((one): Wanted => ({ ...one, width: one.text.length * CHARACTER, height: LINE }));
  const bounds = { left: LEFT, top: TOP - 6, width: width - LEFT, height: height - TOP - BOTTOM + 6 };
  const marks = [...named.map(markBox), ...lowerMarks(pairs, columns, x, y)];
  const boxes = placed(wanted, { marks, lines: pairs.map((pair) => stemBox(pair, columns, x, y)) }, bounds);
  return (
    <>
      {boxes.map((box, i) => (
        <Label
          key={named[i].text}
          text={named[i].text}
          wanted={wanted[i]}
          box={box}
          led={needsLine(
            wanted[i],
            box,
            wanted.filter((_, j) => j !== i),
          )}
        />
      ))}
    </>
  );
}

function lowerMarks(pairs: readonly Pair[], columns: readonly Column[], x: Scales["x"], y: Scales["y"]): Box[] {
  return pairs.flatMap((pair) =>
    scoresOf(pair, columns).map(({ score }) => markBox({ x: x(pair.seconds), y: y(score) })),
  );
}

function stemBox(pair: Pair, columns: readonly Column[], x: Scales["x"], y: Scales["y"]): Box {
  const at = scoresOf(pair, columns).map(({ score }) => y(score));
  return { left: x(pair.seconds) - 1, top: Math.min(...at), width: 2, height: Math.max(...at) - Math.min(...at) };
}

/** Those of a pair's scores that are there and shown. */
function scoresOf({ scores }: Pair, columns: readonly Column[]): { column: Column; score: number }[] {
  return columns.flatMap((column) => {
    const score = scores[column];
    return score === null ? [] : [{ column, score }];
  });
}

function markBox({ x, y }: { readonly x: number; readonly y: number }): Box {
  return { left: x - MARK / 2, top: y - MARK / 2, width: MARK, height: MARK };
}

interface LabelProps {
  readonly text: string;
  readonly wanted: Wanted;
  readonly box: Box;
  /** Whether a line leads from its mark to it. */
  readonly led: boolean;
}

function Label({ text, wanted, box, led }: LabelProps) {
  const [middleX, middleY] = [box.left + box.width / 2, box.top + box.height / 2];
  const nearest = Math.min(Math.max(wanted.x, box.left), box.left + box.width);
  return (
    <>
      {led && <line class="leader" x1={wanted.x} y1={wanted.y} x2={nearest} y2={middleY} />}
      <text class="label" x={middleX} y={middleY} dy="0.35em" text-anchor="middle">
        {text}
      </text>
    </>
  );
}

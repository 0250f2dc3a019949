/** Bars that lie, a row each: names are read as they are written. */
import { scaleLinear } from "d3-scale";
import { useWidth } from "./width.ts";

interface Bar {
  readonly name: string;
  readonly value: number;
}

interface BarsProps {
  /** What a screen reader says before the largest one. */
  readonly title: string;
  readonly bars: readonly Bar[];
  readonly format: (value: number) => string;
}

const [ROW, THICK, NAMES, VALUES] = [24, 14, 92, 68];

export function Bars({ title, bars, format }: BarsProps) {
  const { place, width } = useWidth();
  const most = Math.max(...bars.map((bar) => bar.value), 1);
  const x = scaleLinear([0, most], [0, Math.max(20, width - NAMES - VALUES)]);
  const largest = bars.reduce((a, b) => (b.value > a.value ? b : a), bars[0]);
  const said = `${title}; the most is ${format(largest.value)} of ${largest.name}`;
  return (
    <div ref={place} class="chart">
      <svg width={width} height={bars.length * ROW} role="img" aria-label={said}>
        {bars.map(({ name, value }, i) => (
          <g key={name} transform={`translate(0 ${i * ROW})`}>
            <text x={NAMES - 8} y={ROW / 2} dy="0.35em" text-anchor="end">
              {name}
            </text>
            <rect class="bar" x={NAMES} y={(ROW - THICK) / 2} width={x(value)} height={THICK} rx="2" />
            <text class="quiet" x={NAMES + x(value) + 6} y={ROW / 2} dy="0.35em">
              {format(value)}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}

/** The latest phases over time: how long each took here. */
import { scaleLinear } from "d3-scale";
import type { Phase } from "../../src/console/status.ts";
import { Legend } from "./legend.tsx";
import { AsTable, Section } from "./table.tsx";
import { useWidth } from "./width.ts";
import { clock, duration, seconds } from "./words.ts";

const [HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [170, 52, 12, 10, 26];
/** The chart spans this much time at least. */
const LEAST_SPAN_MS = 60_000;

const KINDS = [
  { name: "online", text: "online: a text is answered", mark: "circle" },
  { name: "offline", text: "offline: material is made", mark: "square" },
] as const;

/** `now` is the service's clock, as the phases' times are. */
export function Phases({ phases, now }: { readonly phases: readonly Phase[]; readonly now: number }) {
  if (phases.length === 0)
    return (
      <Section title="Recent phases">
        <p>None since the start.</p>
      </Section>
    );
  const newestFirst = [...phases].reverse();
  const kinds = KINDS.filter(({ name }) => phases.some((p) => p.phase === name));
  return (
    <Section title="Recent phases">
      <Legend entries={kinds} />
      <PhaseChart phases={phases} now={now} />
      <AsTable
        caption="Latest phases"
        head={["At", "Phase", "Took"]}
        rows={newestFirst.map((p) => [clock(p.at), p.phase, seconds(p.seconds)])}
      />
    </Section>
  );
}

function PhaseChart({ phases, now }: { readonly phases: readonly Phase[]; readonly now: number }) {
  const { place, width } = useWidth();
  const span = Math.max(LEAST_SPAN_MS, (now - phases[0].at) * 1.05);
  const x = scaleLinear([now - span, now], [LEFT, width - RIGHT]);
  const most = Math.max(...phases.map((p) => p.seconds), 0.01);
  const y = scaleLinear([0, most], [HEIGHT - BOTTOM, TOP]).nice(3);
  const said = `Time of the last ${phases.length} phases; the longest took ${seconds(most)}`;
  return (
    <div ref={place} class="chart">
      <svg width={width} height={HEIGHT} role="img" aria-label={said}>
        {y.ticks(3).map((tick) => (
          <g key={tick} transform={`translate(0 ${y(tick)})`}>
            <line class="grid" x1={LEFT} x2={width - RIGHT} />
            <text class="quiet" x={LEFT - 6} dy="0.35em" text-anchor="end">
              {tick === 0 ? "0" : seconds(tick)}
            </text>
          </g>
        ))}
        <text class="quiet" x={LEFT} y={HEIGHT - 6}>
          {duration(span / 1000)} ago
        </text>
        <text class="quiet" x={width - RIGHT} y={HEIGHT - 6} text-anchor="end">
          now
        </text>
        {phases.map((p, i) => (
          <PhaseMark key={`${p.at} ${i}`} phase={p} x={x(p.at)} y={y(p.seconds)} ground={y(0)} />
        ))}
      </svg>
    </div>
  );
}

interface PhaseMarkProps {
  readonly phase: Phase;
  readonly x: number;
  readonly y: number;
  /** Where the axis lies. */
  readonly ground: number;
}

function PhaseMark({ phase, x, y, ground }: PhaseMarkProps) {
  return (
    <g class={`mark ${phase.phase}`}>
      <title>{`${clock(phase.at)}: ${phase.phase}, ${seconds(phase.seconds)}`}</title>
      <line x1={x} x2={x} y1={ground} y2={y} />
      {phase.phase === "online" ? (
        <circle cx={x} cy={y} r="4" />
      ) : (
        <rect x={x - 3.5} y={y - 3.5} width="7" height="7" />
      )}
    </g>
  );
}

/** What a chart's marks stand for. */
import { MarkOf, type MarkShape } from "./marks.tsx";

interface LegendEntry {
  /** Also the class that gives its colour. */
  readonly name: string;
  readonly text: string;
  readonly mark: MarkShape;
}

export function Legend({ entries }: { readonly entries: readonly LegendEntry[] }) {
  return (
    <ul class="legend">
      {entries.map(({ name, text, mark }) => (
        <li key={name}>
          <svg class={`mark ${name}`} width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">
            <MarkOf shape={mark} />
          </svg>
          {text}
        </li>
      ))}
    </ul>
  );
}

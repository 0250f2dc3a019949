/** Tables: of their own, and folded under a chart for those who rather read. */
import type { ComponentChildren } from "preact";

type Cell = string | number;

interface TableProps {
  readonly caption: string;
  readonly head: readonly string[];
  /** The first cell of a row names it. */
  readonly rows: readonly (readonly Cell[])[];
}

/** It scrolls by itself where it is too wide, with the keyboard too. */
export function Table({ caption, head, rows }: TableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be within the keyboard's reach
    <section class="table" aria-label={caption} tabIndex={0}>
      <table>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {head.map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, ...cells], row) => (
            <tr key={`${name} ${row}`}>
              <th scope="row">{name}</th>
              {cells.map((cell, i) => (
                <td key={head[i + 1]}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What a chart shows, as a table that is opened by whoever wants it. */
export function AsTable(props: TableProps) {
  return (
    <details class="folded">
      <summary>{props.caption} as a table</summary>
      <Table {...props} />
    </details>
  );
}

export function Section({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  const id = `part-${title}`.toLowerCase().replace(/[^a-z]+/g, "-");
  return (
    <section class="part" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

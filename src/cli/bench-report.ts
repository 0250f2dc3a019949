/** A bench's results as pictures: where one inference's time and bytes go, and pairs of stand-ins side by side. */
import { scaleBand, scaleLinear } from "d3-scale";
import type { BenchResult } from "./bench-classify.ts";
import { formatBytes } from "./format.ts";

const COLOURS: Readonly<Record<string, string>> = {
  linear: "#1f6feb",
  attention: "#8250df",
  softmax: "#d1570c",
  activation: "#e3b341",
  norm: "#2da44e",
  embedding: "#bf3989",
  answer: "#57606a",
  waiting: "#d0d7de",
};

interface Part {
  readonly name: string;
  readonly value: number;
}

interface Bar {
  readonly name: string;
  readonly parts: readonly Part[];
  /** What stands behind the bar. */
  readonly total: string;
}

/** Online time of both parties by kind of work, and bytes of both directions by kind of work. */
export function benchSvg(r: BenchResult): string {
  const times = (["server", "client"] as const).map((party): Bar => {
    const groups = Object.entries(r.spent[party]);
    const waiting = groups.reduce((sum, [, s]) => sum + s.waiting, 0);
    const parts = [...groups.map(([name, s]) => ({ name, value: s.compute })), { name: "waiting", value: waiting }];
    return { name: party, parts, total: `${(r.seconds.online * 1000).toFixed(0)} ms` };
  });
  const directions = [
    ["to server", (s: BenchResult["steps"][number]) => s.online.client_to_server],
    ["to client", (s: BenchResult["steps"][number]) => s.online.server_to_client],
    ["dealer, offline", (s: BenchResult["steps"][number]) => s.offline.dealer_to_server],
    ["client, offline", (s: BenchResult["steps"][number]) => s.offline.client_to_server],
  ] as const;
  const bytes = directions.map(([name, of]): Bar => {
    const groups = new Map<string, number>();
    for (const step of r.steps) groups.set(step.group, (groups.get(step.group) ?? 0) + r.batch * of(step));
    const parts = [...groups].map(([group, value]) => ({ name: group, value }));
    return { name, parts, total: formatBytes(parts.reduce((sum, p) => sum + p.value, 0)) };
  });
  const title = `${r.model}, ${r.length} tokens, ${r.gelu} + ${r.softmax}, ${r.network}, kernels ${r.kernels}`;
  return drawing(title, [
    { heading: "online, milliseconds", bars: times },
    { heading: "bytes", bars: bytes },
  ]);
}

/** Online and offline seconds of each pair. */
export function pairsSvg(results: readonly BenchResult[]): string {
  const exact = results.find((r) => r.gelu === "exact" && r.softmax === "exact");
  const bars = results.map((r): Bar => {
    const gain = exact === undefined ? "" : `, ${(exact.seconds.online / r.seconds.online).toFixed(1)}×`;
    const parts = [
      { name: "linear", value: r.seconds.online },
      { name: "waiting", value: r.seconds.offline },
    ];
    return { name: `${r.gelu} + ${r.softmax}`, parts, total: `${r.seconds.online.toFixed(2)} s online${gain}` };
  });
  const { model, length, network, kernels } = results[0];
  return drawing(`${model}, ${length} tokens, ${network}, kernels ${kernels}`, [
    { heading: "seconds: online (blue), offline (grey)", bars },
  ]);
}

function drawing(title: string, panels: readonly { heading: string; bars: readonly Bar[] }[]): string {
  const [width, left, right, row] = [720, 130, 110, 24];
  const names = [...new Set(panels.flatMap((p) => p.bars.flatMap((b) => b.parts.map((part) => part.name))))];
  const legend =
    panels.length < 2
      ? []
      : names.map((name, i) => {
          const x = left + 76 * i;
          return `<rect x="${x}" y="26" width="10" height="10" fill="${COLOURS[name] ?? "#999"}"/><text x="${x + 13}" y="35">${name}</text>`;
        });
  let top = 48;
  const drawn = panels.flatMap(({ heading, bars }) => {
    const height = row * bars.length;
    const y = scaleBand(
      bars.map((_, i) => String(i)),
      [top + 8, top + 8 + height],
    ).padding(0.2);
    const largest = Math.max(...bars.map((b) => b.parts.reduce((sum, p) => sum + p.value, 0)));
    const x = scaleLinear([0, largest], [left, width - right]);
    const marks = bars.flatMap((bar, i) => {
      let from = 0;
      const middle = (y(String(i)) ?? 0) + y.bandwidth() / 2 + 4;
      const rects = bar.parts.map((part) => {
        const [a, b] = [x(from), x(from + part.value)];
        from += part.value;
        return `<rect x="${a.toFixed(1)}" y="${y(String(i))}" width="${(b - a).toFixed(1)}" height="${y.bandwidth()}" fill="${COLOURS[part.name] ?? "#999"}"><title>${part.name}</title></rect>`;
      });
      return [
        `<text x="${left - 6}" y="${middle}" text-anchor="end">${bar.name}</text>`,
        ...rects,
        `<text x="${(x(from) + 6).toFixed(1)}" y="${middle}">${bar.total}</text>`,
      ];
    });
    const out = [`<text x="${left}" y="${top}" font-weight="bold">${heading}</text>`, ...marks];
    top += height + 34;
    return out;
  });
  const head = `<text x="${left}" y="16" font-size="13">${title.replace(/[<&]/g, " ")}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top - 10}" font-family="sans-serif" font-size="10">${[head, ...legend, ...drawn].join("")}</svg>\n`;
}

/** Charts as SVG files. What draws them needs d3-scale and d3-shape, which a plain install does not have. */
import { writeFile } from "node:fs/promises";
import { note } from "./terminal.ts";

/** The modules that draw; null where d3 is not installed. */
async function load() {
  try {
    const { benchSvg, pairsSvg } = await import("./bench-report.ts");
    const { costSvg } = await import("./cost-chart.ts");
    const { studySvg } = await import("./study-chart.ts");
    const { stageCurves } = await import("../distill/curve-chart.ts");
    return { benchSvg, pairsSvg, costSvg, studySvg, stageCurves };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_MODULE_NOT_FOUND") return null;
    throw error;
  }
}

type Charts = NonNullable<Awaited<ReturnType<typeof load>>>;

/** Draws into a file; without d3 it says what to install, since the numbers beside a chart may have taken hours. */
export async function writeChart(path: string, draw: (charts: Charts) => string): Promise<void> {
  const charts = await load();
  if (charts === null) return note(`${path} is not drawn: npm install d3-scale d3-shape, and run this again`);
  await writeFile(path, draw(charts));
}

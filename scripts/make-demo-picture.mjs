// docs/pictures/demo.svg: what `mpcformer demo` prints, line by line, as an animated picture. Usage: node scripts/make-demo-picture.mjs
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";

const COMMAND = "mpcformer demo";
const [LINE, LETTER, MARGIN, COLUMNS] = [18, 7.5, 16, 104];
/** Seconds for which the whole stands before it begins again. */
const REST = 6;

const child = spawn(process.execPath, ["dist/cli/main.js", "demo"], { stdio: ["ignore", "pipe", "pipe"] });
const lines = [{ at: 0, text: `$ ${COMMAND}` }];
const begun = performance.now();
const take = (chunk) => {
  const texts = chunk
    .toString()
    .split("\n")
    .filter((line) => line.trim() !== "");
  for (const text of texts) lines.push({ at: (performance.now() - begun) / 1000, text });
};
child.stdout.on("data", take);
child.stderr.on("data", take);
child.on("close", (code) => {
  if (code !== 0) throw new Error(lines.map(({ text }) => text).join("\n"));
  writeFileSync("docs/pictures/demo.svg", picture());
});

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Lines appear a moment apart at least: who looks has to read them. */
function picture() {
  let at = 0;
  const shown = lines.map(({ text, at: printed }, i) => {
    at = i === 0 ? 0 : Math.max(at + 0.35, Math.min(printed, 1.5));
    return { at, text: text.length > COLUMNS ? `${text.slice(0, COLUMNS - 3)}...` : text };
  });
  const whole = at + REST;
  const width = 2 * MARGIN + COLUMNS * LETTER;
  const height = 2 * MARGIN + shown.length * LINE;
  const frames = shown.map(({ at }, i) => {
    const from = ((100 * at) / whole).toFixed(2);
    return `@keyframes l${i}{0%,${from}%{opacity:0}${(Number(from) + 0.01).toFixed(2)}%,100%{opacity:1}}`;
  });
  const texts = shown.map(({ text }, i) => {
    const style = i === 0 ? "" : ` style="animation:l${i} ${whole.toFixed(1)}s infinite"`;
    return `<text x="${MARGIN}" y="${MARGIN + (i + 0.75) * LINE}" xml:space="preserve"${style}>${escaped(text)}</text>`;
  });
  // Who wants no motion sees all of it.
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img"><title>What mpcformer demo prints</title>
<style>text{font:12.5px ui-monospace,Menlo,Consolas,monospace;fill:#e6e6e6}${frames.slice(1).join("")}@media (prefers-reduced-motion:reduce){text{animation:none!important}}</style>
<rect width="100%" height="100%" rx="8" fill="#1b1f27"/>
${texts.join("\n")}
</svg>
`;
}

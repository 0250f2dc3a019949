/** What a page says that a command prints, beside what it printed. */

/**
 * The first line shown that was not printed, in order; null if there is none. Numbers and hexadecimal digits may differ, also in
 * how many there are; a line `...` stands for any lines.
 */
export function missing(shown: string, printed: string): string | null {
  const lines = linesOf(printed);
  let at = 0;
  let mayskip = true;
  for (const line of shown.trimEnd().split("\n")) {
    if (line.trim() === "...") {
      mayskip = true;
      continue;
    }
    const found = lines.indexOf(blurred(line), at);
    if (found < 0 || (!mayskip && found !== at)) return line;
    at = found + 1;
    mayskip = false;
  }
  return null;
}

function linesOf(printed: string): string[] {
  return printed
    .split(/\r?\n/)
    .map((line) => blurred(line.slice(line.lastIndexOf("\r") + 1)))
    .filter((line) => line !== "");
}

function blurred(line: string): string {
  return line
    .trim()
    .replace(/\b[0-9a-f]{8,}\b/g, "#")
    .replace(/\d+(?:[.,]\d+)*(?:e-?\d+)?/g, "#")
    .replace(/\b(?:k|M|G)?B\b/g, "B")
    .replace(/\s+/g, " ");
}

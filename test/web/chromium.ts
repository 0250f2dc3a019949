/** The browser that is here, for tests of pages. */
import { accessSync, constants } from "node:fs";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of a Chromium: of the variable CHROMIUM, or where systems put it; null where there is none. */
export function chromiumPath(): string | null {
  const named = process.env.CHROMIUM;
  return (named === undefined ? PLACES : [named]).find(canRun) ?? null;
}

function canRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `npm run long -- NAME [options]` runs test/long/NAME.mjs: what takes minutes to hours, and is not part of `npm test`. */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const [name = "", ...rest] = process.argv.slice(2);
const script = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));
if (!/^(?!run$)[a-z-]+$/.test(name) || !existsSync(script)) {
  const own = readdirSync(fileURLToPath(new URL(".", import.meta.url))).map((file) => file.replace(".mjs", ""));
  console.error(`no such long test: give one of ${own.filter((one) => one !== "run").join(", ")}`);
  process.exit(2);
}
process.exit(spawnSync(process.execPath, [script, ...rest], { stdio: "inherit" }).status ?? 1);

// Long checks, for no CI: `npm run long -- NAME` runs test/long/NAME.mjs, or test/long/NAME.long.ts with vitest.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));
const names = readdirSync(here("."))
  .filter((file) => /\.(mjs|long\.ts)$/.test(file) && file !== "run.mjs")
  .map((file) => file.replace(/\.(mjs|long\.ts)$/, ""));
// What follows the name is the check's own.
const [name] = process.argv.splice(2, 1);
if (!names.includes(name)) {
  console.error(`which long check? ${names.join(", ")}`);
  process.exit(2);
}
if (existsSync(here(`${name}.mjs`))) await import(`./${name}.mjs`);
else {
  const vitest = fileURLToPath(new URL("./vitest.mjs", import.meta.resolve("vitest/package.json")));
  const args = [vitest, "run", "--config", here("vitest.config.ts"), here(`${name}.long.ts`)];
  const env = { ...process.env, LONG_ARGUMENTS: JSON.stringify(process.argv.slice(2)) };
  process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1;
}

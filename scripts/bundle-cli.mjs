// The program `mpcformer` in few files, over the one that tsc wrote: to find and read some 300 modules is most of what a command's start
// costs. Each command is a file of its own, and what several share are others, all beside main.js: what finds files of the package
// by its own place does so from a folder of dist.
import { readdirSync, rmSync } from "node:fs";
import { build } from "esbuild";

const OUT = "dist/cli";
const PART = "part-";

for (const file of readdirSync(OUT)) if (file.startsWith(PART)) rmSync(`${OUT}/${file}`);
await build({
  entryPoints: ["src/cli/main.ts"],
  outdir: OUT,
  chunkNames: `${PART}[hash]`,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  packages: "external",
  alias: { "#platform": "./src/platform/node.ts" },
  // Errors are told by their classes' names.
  keepNames: true,
  logLevel: "warning",
});

// tsc copies no .wasm and no .mjs: the kernels and their worker go beside the compiled modules that load them.
import { copyFileSync, mkdirSync } from "node:fs";

mkdirSync("dist/ring", { recursive: true });
for (const file of ["kernels.wasm", "kernels-shared.wasm", "worker.mjs"])
  copyFileSync(`src/ring/${file}`, `dist/ring/${file}`);

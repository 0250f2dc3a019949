// tsc copies no .wasm: the kernels go beside the compiled module that loads them.
import { copyFileSync, mkdirSync } from "node:fs";

mkdirSync("dist/ring", { recursive: true });
copyFileSync("src/ring/kernels.wasm", "dist/ring/kernels.wasm");

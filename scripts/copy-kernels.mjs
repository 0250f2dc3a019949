// tsc copies no .wasm and no .mjs: the kernels and their worker go beside the compiled modules that load them. Bundles for browsers get
// the kernels as text, since bundlers differ in how they take files along.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

const KERNELS = "platform/kernels-base64.mjs";

const base64 = readFileSync("src/ring/kernels.wasm").toString("base64");
writeFileSync(`src/${KERNELS}`, `export const KERNELS = "${base64}";\n`);
const files = ["ring/kernels.wasm", "ring/kernels-shared.wasm", "ring/worker.mjs", KERNELS];
for (const room of ["ring", "platform"]) mkdirSync(`dist/${room}`, { recursive: true });
for (const file of files) copyFileSync(`src/${file}`, `dist/${file}`);
copyFileSync("src/platform/kernels-base64.d.mts", "dist/platform/kernels-base64.d.mts");

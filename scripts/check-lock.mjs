// No dependency may run a script when it is installed: onnxruntime-node's would fetch CUDA from elsewhere (the CPU and WebGPU
// libraries are in its package), esbuild's changes nothing. npm asks `allowScripts` in package.json since 11.16; before that it
// runs what the lock says has a script, and there the mark is taken away. npm install of another version may bring it back.
import { readFileSync, writeFileSync } from "node:fs";

const LOCK = "package-lock.json";
const lock = JSON.parse(readFileSync(LOCK, "utf8"));
const marked = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
if (marked.length > 0 && process.argv.includes("--write")) {
  for (const [, entry] of marked) delete entry.hasInstallScript;
  writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
} else if (marked.length > 0) {
  const names = marked.map(([path]) => path).join(", ");
  console.error(
    `${names}: would run a script at install; node scripts/check-lock.mjs --write takes the mark from the lock`,
  );
  process.exit(1);
}

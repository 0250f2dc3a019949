// The pages' files, compressed once here rather than at each request: src/cli/pages.ts sends what a browser accepts.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const LEAST = 1024;
for (const entry of readdirSync("dist/web", { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(js|css|wasm|svg)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const content = readFileSync(path);
  if (content.length < LEAST) continue;
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
  writeFileSync(`${path}.br`, brotliCompressSync(content));
}

import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // As package.json's `imports`, of the sources.
  resolve: { alias: { "#platform": resolve("src/platform/node.ts") } },
  test: { include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000, pool: "forks", maxWorkers: 2 },
});

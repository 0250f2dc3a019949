import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

export default defineConfig({
  // As package.json's `imports`, of the sources.
  resolve: { alias: { "#platform": resolve("src/platform/node.ts") } },
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Tests wait for events; these end one that would wait for ever, on a machine that is busy with other work, too.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
  },
});

import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

/** Hours, where a check wants them; one process. */
export default defineConfig({
  resolve: { alias: { "#platform": resolve("src/platform/node.ts") } },
  test: {
    include: ["test/long/*.long.ts"],
    testTimeout: 0,
    pool: "forks",
    maxWorkers: 1,
    disableConsoleIntercept: true,
  },
});

import { defineConfig } from "vitest/config";

/** Hours, where a check wants them; one process. */
export default defineConfig({
  test: {
    include: ["test/long/*.long.ts"],
    testTimeout: 0,
    pool: "forks",
    maxWorkers: 1,
    disableConsoleIntercept: true,
  },
});

import { resolve } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Tests with a process of their own: those that mostly start others, and those that replace a part of a module. */
const ALONE = [
  "test/{cli,deploy,distill,docs,examples,fuzz,gateway,package,web}/**/*.test.ts",
  "test/parties/once.test.ts",
  "test/parties/portions-of-text.test.ts",
  "test/protocols/malicious.test.ts",
];
/** The files that take longest, in this order before all others: no worker is left with one of them at the end. */
const FIRST = [
  ...["docs/guides", "cli/training", "cli/commands", "web/talk", "cli/screen", "cli/attacks", "web/page"],
  ...["models/families", "stores/store", "package/package", "parties/once", "cli/chat", "cli/killed", "cli/lost"],
  ...["protocols/views", "distill/training", "web/refusals", "parties/faults", "parties/services", "web/care"],
  ...["program/precision", "models/tokenizers", "protocols/leaks", "parties/machines", "examples/examples"],
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = FIRST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at === -1 ? FIRST.length : at;
    };
    return [...files].sort((a, b) => rank(a) - rank(b) || (a.moduleId < b.moduleId ? -1 : 1));
  }
}

export default defineConfig({
  // As package.json's `imports`, of the sources.
  resolve: { alias: { "#platform": resolve("src/platform/node.ts") } },
  test: {
    pool: "forks",
    // One more than the processors of a small machine: much of a test is waiting for other processes.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Tests wait for events; these end one that would wait for ever, on a machine that is busy with other work, too.
    testTimeout: 900_000,
    hookTimeout: 900_000,
    expect: { poll: { timeout: 300_000 } },
    restoreMocks: true,
    unstubEnvs: true,
    projects: [
      // One process runs many files, and imports the sources once. So a file leaves nothing behind: no file, no listener, no
      // variable; replaced functions are put back by the settings above.
      { extends: true, test: { name: "shared", include: ["test/**/*.test.ts"], exclude: ALONE, isolate: false } },
      { extends: true, test: { name: "alone", include: ALONE } },
    ],
  },
});

/** Commands run in the test's own process: for those that end before they start anything, where a start of Node.js is most of the time. */
import { vi } from "vitest";
import { run } from "../../src/cli/program.ts";
import { writeForMachines } from "../../src/cli/terminal.ts";

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command to its end, and what it wrote. One at a time: standard output and standard error are the whole process's. */
export async function inside(...args: readonly string[]): Promise<Ended> {
  let [out, err] = ["", ""];
  const [stdout, stderr] = [
    vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      out += text;
      return true;
    }),
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      err += text;
      return true;
    }),
  ];
  try {
    const code = await run(args);
    return { code, out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
    writeForMachines(false);
  }
}

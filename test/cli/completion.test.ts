/** What shells complete. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { MAIN } from "./started.ts";

const scriptOf = (shell: string) => execFileSync(process.execPath, [MAIN, "completion", shell], { encoding: "utf8" });

describe("bash", () => {
  let script: string;
  beforeAll(() => {
    script = scriptOf("bash");
  });
  const completed = (...words: string[]) => {
    const line = `COMP_WORDS=(mpcformer ${words.join(" ")}); COMP_CWORD=${words.length}; _mpcformer; echo "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", `${script}\n${line}`], { encoding: "utf8" })
      .trim()
      .split(" ");
  };

  it("completes commands, options and choices", () => {
    expect(completed("ge")).toEqual(["generate"]);
    expect(completed("serve", "--prof")).toEqual(["--profile"]);
    expect(completed("serve", "--answer", "s")).toEqual(["scores"]);
    // Nothing: files then.
    expect(completed("serve", "./x")).toEqual([""]);
    expect(script).not.toContain("--attached");
  });
});

it.each(["zsh", "fish"])("%s reads its script", (shell) => {
  const script = scriptOf(shell);
  expect(script).toContain("generate");
  const file = join(mkdtempSync(join(tmpdir(), "completion-")), `mpcformer.${shell}`);
  writeFileSync(file, script);
  const { error, status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
  rmSync(dirname(file), { recursive: true });
  if (error !== undefined) return console.warn(`${shell} is not here: its script is not read by it`);
  expect([status, stderr]).toEqual([0, ""]);
});

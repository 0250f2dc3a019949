/** The thread of compile-thread.ts: takes one task after the other, and answers in pieces, each when it is asked for. */
import { setPriority } from "node:os";
import { parentPort } from "node:worker_threads";
import { TooLarge } from "../compiler/budget.ts";
import { PlanError } from "../program/steps.ts";
import type { FromThread, ToThread } from "./compile-thread.ts";
import { type CompileTask, compileHere } from "./compiling.ts";

/**
 * Runs come first: a third of their share of a processor is for what strangers ask to have compiled. Not less: with the lowest priority a program of two seconds
 * took minutes beside other programs of the machine. (On Linux a thread has a priority of its own.)
 */
const NICE = 5;
if (process.platform === "linux") setPriority(NICE);

/** Items of a list in one piece: some milliseconds of the receiver. */
const PIECE = 2000;
const LISTS = ["values", "steps", "reads", "flights"] as const;

/** The pieces of a program, the last one with its fingerprint; or why there is none. */
async function* answer(task: CompileTask): AsyncGenerator<FromThread> {
  try {
    const { program, fingerprint } = await compileHere(task);
    for (const list of LISTS)
      for (let at = 0; at < program[list].length; at += PIECE)
        yield { piece: { [list]: program[list].slice(at, at + PIECE) } };
    const { values: _values, steps: _steps, reads: _reads, flights: _flights, ...last } = program;
    yield { last, fingerprint };
  } catch (error) {
    const kind = error instanceof TooLarge ? "large" : error instanceof PlanError ? "plan" : "fault";
    yield { error: error instanceof Error ? error.message : "the compiler failed", kind };
  }
}

let pieces: AsyncGenerator<FromThread>;
parentPort!.on("message", async (message: ToThread) => {
  if (message !== "next") pieces = answer(message);
  parentPort!.postMessage((await pieces.next()).value);
});

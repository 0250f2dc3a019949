/**
 * Compiles in a thread of its own, so that a service goes on while it does. What takes too much memory or time is ended, and the
 * thread with it; the next program begins another one. Node only.
 */
import { Worker } from "node:worker_threads";
import { TooLarge } from "../compiler/budget.ts";
import { PlanError, type Program } from "../program/steps.ts";
import type { Compile, CompiledProgram, CompileTask } from "./compiling.ts";

/** The thread's own memory, at most; the bound on steps is met far below. */
const MOST_HEAP_MB = 512;
/** A program of the bounds' size takes some seconds, on a busy machine some tens. */
const MOST_MS = 180_000;
/** A thread that has made so many steps has memory to give back. */
const LARGE_STEPS = 50_000;

/** What the thread answers, one message at a time: pieces, so that none holds the event loop up. */
export type FromThread =
  | { readonly piece: Partial<Pick<Program, "values" | "steps" | "reads" | "flights">> }
  | { readonly last: Omit<Program, "values" | "steps" | "reads" | "flights">; readonly fingerprint: string }
  | { readonly error: string; readonly kind: "plan" | "large" | "fault" };

/** A program to compile, or the next piece of it. */
export type ToThread = CompileTask | "next";

/** For one program at a time, as `Programs` asks for them. */
export function compilerInThread(): Compile {
  let idle: Worker | null = null;
  return async (task) => {
    const worker = idle ?? started();
    idle = null;
    worker.ref();
    try {
      const compiled = await compiledBy(worker, task);
      if (compiled.program.steps.length >= LARGE_STEPS) void worker.terminate();
      else idle = worker;
      return compiled;
    } catch (error) {
      void worker.terminate();
      throw error;
    } finally {
      worker.unref();
    }
  };
}

function started(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: MOST_HEAP_MB };
  // An error of a thread that works for nobody ends nothing.
  // By its folder, so that it is found from dist/cli too, where the program is bundled.
  return new Worker(new URL("../parties/compile-worker.js", import.meta.url), { resourceLimits }).on("error", () => {});
}

function compiledBy(worker: Worker, task: CompileTask): Promise<CompiledProgram> {
  return new Promise((resolve, reject) => {
    const pieces = new Pieces();
    const end = (settle: () => void) => {
      clearTimeout(timer);
      worker.off("message", told).off("error", failed).off("exit", gone);
      settle();
    };
    const told = (message: FromThread) => {
      if ("error" in message) return end(() => reject(errorOf(message)));
      if ("last" in message) return end(() => resolve(pieces.joined(message)));
      pieces.add(message.piece);
      worker.postMessage("next" satisfies ToThread);
    };
    const failed = (error: NodeJS.ErrnoException) => {
      const full = error.code === "ERR_WORKER_OUT_OF_MEMORY";
      end(() => reject(full ? new TooLarge("the program takes more memory than may be used to compile it") : error));
    };
    const gone = () => end(() => reject(new Error("the thread that compiles has ended")));
    const late = () => end(() => reject(new TooLarge(`the program takes longer than ${MOST_MS / 1000} s to compile`)));
    const timer = setTimeout(late, MOST_MS);
    worker.on("message", told).on("error", failed).on("exit", gone);
    worker.postMessage(task satisfies ToThread);
  });
}

function errorOf({ error, kind }: Extract<FromThread, { error: string }>): Error {
  if (kind === "fault") return new Error(error);
  return kind === "large" ? new TooLarge(error) : new PlanError(error);
}

/** A program as it comes. */
class Pieces {
  private readonly program = { values: [], steps: [], reads: [], flights: [] } as Record<string, unknown[]>;
  private readonly words = new Map<string, string>();

  add(piece: Extract<FromThread, { piece: unknown }>["piece"]): void {
    for (const [list, items] of Object.entries(piece))
      for (const item of items) this.program[list].push(this.same(item));
  }

  joined({ last, fingerprint }: Extract<FromThread, { last: unknown }>): CompiledProgram {
    return { program: { ...this.program, ...last } as unknown as Program, fingerprint };
  }

  /** With one copy of each name: a copied object brings its own. */
  private same<O extends object>(item: O): O {
    for (const [key, value] of Object.entries(item)) {
      if (typeof value !== "string") continue;
      const known = this.words.get(value);
      if (known === undefined) this.words.set(value, value);
      else (item as Record<string, unknown>)[key] = known;
    }
    return item;
  }
}

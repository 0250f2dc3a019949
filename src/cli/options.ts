import type { SpecOverrides } from "../models/config.ts";
import { UsageError } from "./terminal.ts";

/** Options of every command that opens a model. */
export interface ModelOptions {
  readonly gelu?: string;
  readonly softmax?: string;
  readonly embedding?: string;
  readonly answer?: string;
  readonly calibrate?: string;
}

export function overridesOf(options: ModelOptions): SpecOverrides {
  const { gelu, softmax, embedding, answer } = options;
  if (embedding !== undefined && embedding !== "public" && embedding !== "private") {
    throw new UsageError("--embedding takes public or private");
  }
  if (answer !== undefined && answer !== "scores" && answer !== "label") {
    throw new UsageError("--answer takes scores or label");
  }
  return {
    ...(answer === undefined ? {} : { answer }),
    ...(gelu === undefined ? {} : { gelu }),
    ...(softmax === undefined ? {} : { softmax }),
    ...(embedding === undefined ? {} : { embedding }),
  };
}

/** A whole number from 1. @throws UsageError that names the option. */
export function positive(text: string, option: string): number {
  const n = Number(text);
  if (!(Number.isInteger(n) && n > 0)) throw new UsageError(`${option} takes a whole number from 1`);
  return n;
}

/** Machines see no progress, unless they ask for it. */
export function isQuiet(options: { readonly json?: boolean; readonly progress?: boolean }): boolean {
  return (options.json ?? false) && !(options.progress ?? false);
}

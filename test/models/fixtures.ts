/** The small checkpoints of scripts/make-goldens.py and what PyTorch computes with them. */

import { readFileSync } from "node:fs";

export const fixtureNames = ["bert-topics", "bert-score", "bert-cased", "roberta-mood"] as const;

export interface Golden {
  readonly cases: readonly {
    readonly text: string;
    readonly pair: string | null;
    readonly ids: readonly number[];
    readonly types: readonly number[];
    /** By "gelu+softmax". */
    readonly logits: Readonly<Record<string, readonly number[]>>;
  }[];
  readonly truncated: {
    readonly text: string;
    readonly pair: string;
    readonly length: number;
    readonly ids: readonly number[];
  };
}

export function fixture(name: string): string {
  return new URL(`./fixtures/${name}`, import.meta.url).pathname;
}

export function golden(name: string): Golden {
  return JSON.parse(readFileSync(`${fixture(name)}/golden.json`, "utf8"));
}

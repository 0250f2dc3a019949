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

/** The small decoders of scripts/make-decoder-goldens.py. */
export const decoderNames = ["gpt2", "opt", "opt-postnorm", "llama", "llama-tied"] as const;

export interface DecoderGolden {
  readonly texts: readonly { readonly text: string; readonly ids: readonly number[]; readonly decoded: string }[];
  /** Logits of all positions, and what follows greedily. */
  readonly cases: readonly {
    readonly ids: readonly number[];
    readonly logits: readonly (readonly number[])[];
    readonly next: readonly number[];
  }[];
}

export function decoderGolden(name: string): DecoderGolden {
  return JSON.parse(readFileSync(`${fixture(name)}/golden.json`, "utf8"));
}

/** What `pretrain`, `finetune` and `distill` share for decoders: plain texts as windows, and perplexity on a dev set. */

import type { Example } from "../distill/batches.ts";
import { documentsOf, perplexityDev, windowsOf } from "../distill/language.ts";
import type { DevSet } from "../distill/run.ts";
import { readTextFile } from "../files/text.ts";
import { anyTokenizer } from "../models/any-tokenizer.ts";
import type { Model } from "../models/checkpoint.ts";
import type { TextTokenizer } from "../models/tokenizer.ts";
import { longestText, type ModelSpec, type TokenizedText } from "../program/spec.ts";
import { DataError } from "../tasks/tables.ts";
import { UsageError } from "./failure.ts";
import { paceOf } from "./training.ts";
import type { TrainingOptions } from "./training-options.ts";

/** Longer than any text: windows are cut after the tokens are known. */
const ANY_LENGTH = 1_000_000_000;
const SHORTEST = 8;

/** Options that say what a decoder learns from. */
export type LanguageOptions = Pick<
  TrainingOptions,
  "data" | "dev" | "limit" | "devLimit" | "holdOut" | "length" | "task" | "patience" | "evaluations"
>;

/** Windows to learn from and, with `--dev`, to measure by. @throws an Error of one line for files without texts. */
export async function languageData(
  model: Pick<Model, "spec" | "tokenizer">,
  o: LanguageOptions,
): Promise<{ readonly examples: Example[]; readonly dev?: DevSet }> {
  if (o.task !== undefined) throw new UsageError("a model that continues texts learns no task: leave --task out");
  if (o.holdOut !== undefined) throw new UsageError("a model that continues texts holds none out: give --dev");
  const windows = async (path: string, limit: number | undefined) => {
    const documents = await readDocuments(path);
    return windowsIn(documents.slice(0, limit), model, o.length);
  };
  const examples = (await windows(o.data, o.limit)).map((text) => ({ text, label: 0 }));
  if (o.dev === undefined) return { examples };
  const dev = await windows(o.dev, o.devLimit);
  return { examples, dev: perplexityDev(dev, paceOf(o)) };
}

/** The plain texts of a file (`documentsOf`). @throws FileError when it cannot be read, DataError when it has none. */
export async function readDocuments(path: string): Promise<string[]> {
  const documents = documentsOf(await readTextFile(path));
  if (documents.length === 0) throw new DataError(`${path} has no texts: give some`);
  return documents;
}

/** A tokenizer that takes texts of any length. */
function unlimited({ spec, tokenizer }: Pick<Model, "spec" | "tokenizer">): TextTokenizer {
  return anyTokenizer(tokenizer.files, { ...spec, positions: ANY_LENGTH });
}

/** Documents as windows of `--length` tokens; of as many as the model takes unless told. */
function windowsIn(
  documents: readonly string[],
  model: Pick<Model, "spec" | "tokenizer">,
  length: number | undefined,
): TokenizedText[] {
  return windowsOf(documents, unlimited(model), windowLength(model.spec, length));
}

function windowLength(spec: ModelSpec, length: number | undefined): number {
  const most = longestText(spec);
  if (length === undefined) return most;
  if (length < SHORTEST || length > most)
    throw new UsageError(`--length takes ${SHORTEST} to ${most} tokens for this model`);
  return length;
}

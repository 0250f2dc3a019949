/** What a definition of a family says: all that is known of models of one `model_type`, in one file. */

import type { Blocks, ModelSpec } from "../../program/spec.ts";
import type { ConfigFormat } from "../config-fields.ts";
import type { StoredWeight } from "../stored-weight.ts";
import type { FamilyName } from "./known.ts";

/** A family of models, as transformers knows it by its `model_type`. */
export interface Family {
  readonly name: FamilyName;
  /** What its classes of transformers begin with: "Bert" in BertForSequenceClassification. */
  readonly className: string;
  /** What the name of the class with the head that answers here ends with. */
  readonly headName: "ForSequenceClassification" | "ForImageClassification" | "ForCausalLM" | "LMHeadModel";
  readonly isDecoder: boolean;
  /** Whether its head for masked words has a GELU, whatever its layers have. */
  readonly fillsWithGelu?: boolean;
  /** The blocks of its usual models; a config.json may change some of them. */
  readonly blocks: Blocks;
  /** How its config.json is read and written. */
  readonly config: ConfigFormat;
  /** The names of its tensors. */
  readonly names: NameTable;
  /** What a file's tensors are read as, where the program's are products of them. @throws an Error of one line */
  readonly read?: (entries: ReadonlyMap<string, StoredWeight>) => ReadonlyMap<string, StoredWeight>;
}

/**
 * [Hugging Face, program], the program's names being several where one stored tensor is cut into parts, by rows. `#` is a
 * layer's number, `~` a prefix; a pair without a suffix stands for its `.weight` and `.bias`.
 */
export type NameRow = readonly [theirs: string, ours: string, ...more: string[]];

/** What turns a stored value into the program's. */
export interface ValueChange {
  readonly times: number;
  readonly add: number;
}

/** Hugging Face's tensors and the program's, as data read in both directions. */
export interface NameTable {
  /** What `~` may stand for, the usual one first. */
  readonly prefixes: readonly string[];
  /** Layers and norms. */
  readonly layers: readonly NameRow[];
  /** Rows that take the place of others in some of a family's models. */
  readonly variants?: (spec: ModelSpec) => readonly NameRow[];
  /** Embedding tables, with their full names. */
  readonly tables: readonly NameRow[];
  /** Tensors (their names in the file, whole) that are stored in another shape than the program's, entries in the same order. */
  readonly shapes?: Readonly<Record<string, (spec: ModelSpec) => readonly number[]>>;
  /** Layers whose weights are stored as [inputs, outputs]. */
  readonly transposed?: readonly string[];
  /** Tensors of the program (with `#`) whose values are not the stored ones: stored · times + add. */
  readonly changed?: Readonly<Record<string, (spec: ModelSpec) => ValueChange>>;
  /**
   * Layers whose rows stand in another order: the stored row of each of the program's rows, all parts one behind the other.
   */
  readonly ordered?: Readonly<Record<string, (spec: ModelSpec) => readonly number[] | null>>;
}

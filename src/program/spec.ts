import type { RelativeSpec } from "./relative.ts";
import type { RotarySpec } from "./rotary.ts";

/**
 * What a layer of a model is made of, under the program's own names. A family's definition gives it (models/families); the
 * program is built from it alone (models/blocks.ts).
 */
export interface Blocks {
  /** The kind of all norms, as in `NormRef`. */
  readonly norm: "layer" | "rms";
  /** Whether norms add a bias. */
  readonly normBias: boolean;
  /**
   * Where norms stand: behind the sum of a branch and the stream (BERT); before a branch, which leaves the stream as it is (GPT-2);
   * before it and once more behind it, ahead of the sum (Gemma 2); or there alone (OLMo 2).
   */
  readonly normPlace: "after" | "before" | "both" | "branch";
  /**
   * Whether attention and feed-forward read the same stream and are added to it together (GPT-J), by one norm or each by its own
   * (GPT-NeoX). Norms stand first then.
   */
  readonly parallel: "no" | "one norm" | "two norms";
  /** Of a model that reads images: its square patches are embedded in place of words, row by row. Null: it reads texts. */
  readonly patches: Patches | null;
  /** Whether the embeddings' sum is normalised. */
  readonly embeddingNorm: boolean;
  /** Whether a table of positions is added to the words. */
  readonly positionTable: boolean;
  /** Whether a table of token types is added to the words. */
  readonly typeTable: boolean;
  /** Whether padding tokens within a text are not counted as positions (RoBERTa). */
  readonly skipsPadding: boolean;
  /** Norms of queries and keys before their positions turn them: of each head's columns (Qwen3), or of a whole row (OLMo 2). */
  readonly queryNorm: "none" | "heads" | "row";
  /** Rotary positions of queries and keys. */
  readonly rotary: RotarySpec | null;
  /** What scores take from the distances of keys. */
  readonly relative: RelativeSpec | null;
  /** How many positions a row sees at most, its own the last of them, in which layers; null: all in all. */
  readonly window: { readonly size: number; readonly layers: readonly number[] } | null;
  /** Rotary positions of the layers with a window, where they are others (Gemma 3). */
  readonly windowRotary: RotarySpec | null;
  /** What each head's scores lose for every position between a row and a key (ALiBi). */
  readonly slopes: readonly number[] | null;
  /** What scores are multiplied with; null: 1 / sqrt(a head's width). */
  readonly scoreScale: number | null;
  /** The c of c·tanh(x/c), which scores and logits go through (Gemma 2); null: they do not. */
  readonly caps: { readonly scores: number | null; readonly logits: number | null };
  /** The registry's kind of the feed-forward layers' function, which `ModelSpec.gelu` names. */
  readonly activation: "gelu" | "silu";
  /** Whether feed-forward layers multiply by a gate: activation(gate(x)) · intermediate(x), instead of activation(intermediate(x)). */
  readonly gated: boolean;
  /** Which dense layers have biases: queries, keys and values; attention's output; the feed-forward layers; a decoder's head. */
  readonly biases: {
    readonly query: boolean;
    readonly output: boolean;
    readonly feedForward: boolean;
    readonly head: boolean;
  };
  /** Whether one more norm follows the last layer. */
  readonly finalNorm: boolean;
  /** The function between the two dense layers of a classifier's head; none: it has one layer. */
  readonly pooler: "tanh" | "relu" | "gelu" | "none";
  /** Columns of the embedding tables and their norm, where a dense layer makes the hidden width of them; null: the hidden width. */
  readonly embeddingWidth: number | null;
  /** How many layers have weights of their own, each used by as many layers one behind the other (ALBERT); null: all. */
  readonly layerGroups: number | null;
}

/**
 * classification: one of several labels that exclude each other. labels: several that may hold together. regression: one value
 * or several. tokens: a label for each token. spans: where an answer begins and ends.
 * mask: which word a masked token stands for. vector: an embedding of the text. generation: how the text goes on.
 */
export const PROBLEMS = [
  "classification",
  "labels",
  "regression",
  "tokens",
  "spans",
  "mask",
  "vector",
  "generation",
] as const;
type Problem = (typeof PROBLEMS)[number];

/** How an encoder's last states become a text's one vector. */
export interface Pooling {
  /** Of which rows: the first token's, or the mean of all of the text's. */
  readonly of: "first" | "mean";
  /** Whether the vector is divided by its length. */
  readonly unit: boolean;
  /** The most tokens of a text, where the model was made for fewer than it has positions. */
  readonly tokens?: number;
}

/** Whether each token of a text has an answer of its own, rather than the text one. */
export function answersTokens({ problem }: Pick<ModelSpec, "problem">): boolean {
  return problem === "tokens" || problem === "spans";
}

/** Whether an answer has a row for each token of the text: then it is too large to keep for many texts. */
export function answersEachToken({ problem }: Pick<ModelSpec, "problem">): boolean {
  return problem === "generation" || answersTokens({ problem });
}

/** What every party may know of a model: its shape and the functions it uses. Weights, vocabulary and texts are not in it. */
export interface ModelSpec {
  /** The family's name (`model_type` of a config.json): for people and for files. No program depends on it. */
  readonly architecture: string;
  /** Whether the model continues texts, rather than judge them. */
  readonly isDecoder: boolean;
  readonly blocks: Blocks;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  /** Heads of keys and values: fewer than `heads` where groups of queries share them. */
  readonly keyHeads: number;
  /** Columns of one head. */
  readonly headWidth: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Rows of the position table; without one, the most positions that the model was made for, plus `positionOffset`. */
  readonly positions: number;
  readonly types: number;
  /** How many; of a decoder its vocabulary, of a vector its width. */
  readonly labels: number;
  readonly epsilon: number;
  /** First row used of the position table: 0 for BERT, padding index + 1 for RoBERTa, 2 for OPT. */
  readonly positionOffset: number;
  /** Whether the head that gives words their logits is the word table. */
  readonly tied: boolean;
  /** What is asked of a text. */
  readonly problem: Problem;
  /** Of a model whose answer is a vector, and of no other. */
  readonly pooling?: Pooling;
  /** None for a decoder, nor for a vector. */
  readonly labelNames: readonly string[];
  /**
   * Names in the registry of approximations, with parameters after a colon: "quad", "2quad:5". `gelu` stands in for the
   * feed-forward layers' function, of the kind that `blocks.activation` says.
   */
  readonly gelu: string;
  readonly softmax: string;
  /** `public`: the client gets the embedding tables and looks up alone. `private`: they stay with the server. */
  readonly embedding: "public" | "private";
  /** What the client learns: every label's score (or the regression's value), or the winning label (the next token) alone. */
  readonly answer: "scores" | "label";
}

/** How an image is cut: its side and that of a patch in pixels, and how many values a pixel has. */
export interface Patches {
  readonly image: number;
  readonly size: number;
  readonly channels: number;
}

/** One text as the model reads it, or one image. The client's secret. */
export interface TokenizedText {
  /** Of an image: a row for each patch behind one of zeros, [ids.length, channels·size²]. Its ids are zeros. */
  readonly patches?: Float32Array;
  /** Of a model that fills a masked token: which of the tokens that is. */
  readonly place?: number;
  readonly ids: readonly number[];
  readonly types: readonly number[];
}

export interface NamedTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A model's weights by the program's own names. The server's secret. */
export interface Weights {
  /** @throws an Error that names the missing tensor. */
  get(name: string): NamedTensor;
}

/** The most tokens that a text may have, of positions that are learned or turned. */
export function longestText({ positions, positionOffset, pooling }: LongestSpec): number {
  return Math.min(positions - positionOffset, pooling?.tokens ?? Number.POSITIVE_INFINITY);
}

type LongestSpec = Pick<ModelSpec, "positions" | "positionOffset" | "pooling">;

/** Whether a model continues texts, rather than judge them. */
export function isDecoder(spec: Pick<ModelSpec, "isDecoder">): boolean {
  return spec.isDecoder;
}

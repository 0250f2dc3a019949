export type Architecture = "bert" | "roberta" | "gpt2" | "opt" | "llama";

/** What every party may know of a model: its shape and the functions it uses. Weights, vocabulary and texts are not in it. */
export interface ModelSpec {
  readonly architecture: Architecture;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  /** Heads of keys and values: fewer than `heads` where groups of queries share them. */
  readonly keyHeads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Rows of the position table; without one, the most positions that the model was made for, plus `positionOffset`. */
  readonly positions: number;
  readonly types: number;
  /** Of a decoder: its vocabulary. */
  readonly labels: number;
  readonly epsilon: number;
  /** First row used of the position table: 0 for BERT, padding index + 1 for RoBERTa, 2 for OPT. */
  readonly positionOffset: number;
  /** The base of the rotary angles; null: positions come from a table. */
  readonly rotary: number | null;
  /** Whether norms stand before attention and feed-forward, and one after all layers. */
  readonly normFirst: boolean;
  /** Whether a decoder's output head is its word table. */
  readonly tied: boolean;
  readonly problem: "classification" | "regression" | "generation";
  /** None for a decoder. */
  readonly labelNames: readonly string[];
  /**
   * Names in the registry of approximations, with parameters after a colon: "quad", "2quad:5". `gelu` stands in for the
   * feed-forward layers' function, which is SiLU in Llama and GELU elsewhere.
   */
  readonly gelu: string;
  readonly softmax: string;
  /** `public`: the client gets the embedding tables and looks up alone. `private`: they stay with the server. */
  readonly embedding: "public" | "private";
  /** What the client learns: every label's score (or the regression's value), or the winning label (the next token) alone. */
  readonly answer: "scores" | "label";
}

/** One text as the model reads it. The client's secret. */
export interface TokenizedText {
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
export function longestText({ positions, positionOffset }: Pick<ModelSpec, "positions" | "positionOffset">): number {
  return positions - positionOffset;
}

/** Whether a model continues texts, rather than classify them. */
export function isDecoder(spec: Pick<ModelSpec, "architecture">): boolean {
  return spec.architecture !== "bert" && spec.architecture !== "roberta";
}

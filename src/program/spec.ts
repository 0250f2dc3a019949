/** What every party may know of a model: its shape and the functions it uses. Weights, vocabulary and texts are not in it. */
export interface ModelSpec {
  readonly architecture: "bert" | "roberta";
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  /** Rows of the position table. */
  readonly positions: number;
  readonly types: number;
  readonly labels: number;
  readonly epsilon: number;
  /** First row used of the position table: 0 for BERT, padding index + 1 for RoBERTa. */
  readonly positionOffset: number;
  readonly problem: "classification" | "regression";
  readonly labelNames: readonly string[];
  /** Names in the registry of approximations, with parameters after a colon: "quad", "2quad:5". */
  readonly gelu: string;
  readonly softmax: string;
  /** `public`: the client gets the embedding tables and looks up alone. `private`: they stay with the server. */
  readonly embedding: "public" | "private";
  /** What the client learns: every label's score (or the regression's value), or the winning label alone. */
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

/**
 * The compiled program: what the parties execute, step by step. It is public; it holds shapes, scales and ring widths,
 * never a weight or a text.
 *
 * Every value is a tensor of integers; the real number it stands for is integer / scale. Scales are real numbers, so that
 * constants such as 1/sqrt(d), 1/n or a calibrated bound cost nothing: they move into the scale.
 */

import type { RelativeLayer, RelativeSpec } from "./relative.ts";

export type ValueId = number;

/**
 * share:  x = x_S + x_C mod 2^ring, one part with each party.
 * masked: both parties know x + r; r = r_S + r_C, one part with each party, all of it with the dealer.
 * held:   the server alone knows x + r_C; r_C is with the client and the dealer.
 * bits:   XOR shares of a few bits an element. maskedBits: both know bits ⊕ ρ.
 */
export type Form = "share" | "masked" | "held" | "bits" | "maskedBits";

export interface Value {
  readonly id: ValueId;
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly scale: number;
  /** Largest |integer| in the planned range. */
  readonly bound: number;
  readonly form: Form;
  /** The ring's width in bits; set by `assignRings`. */
  ring: number;
  /** Masked values: whether the parties need their own additive parts of the mask. */
  needsMaskShares: boolean;
}

/** A public integer constant, |c| < 2^63, kept as the float64 that holds it. */
type Constant = number;

/**
 * How the server makes one operand of a linear step from its weights: integer = round(weight · scale). Of a `centred` one each row of
 * the operand has lost its mean before, so that what it gives has rows of mean 0.
 */
export type WeightRef =
  | {
      readonly kind: "dense";
      readonly name: string;
      readonly gain: string | null;
      readonly scale: number;
      readonly centred: boolean;
    }
  | { readonly kind: "table"; readonly name: string; readonly scale: number; readonly centred: boolean }
  | { readonly kind: "diagonal"; readonly name: string; readonly scale: number }
  /** Minus the mean of what `diagonal` gives, in every column: gains over their number. */
  | { readonly kind: "mean"; readonly name: string; readonly scale: number }
  | { readonly kind: "outer"; readonly bias: BiasRef }
  | { readonly kind: "identity"; readonly factor: Constant }
  /** Keys or queries of all distances, cut by heads: [heads·width, buckets]. */
  | ({ readonly kind: "relative"; readonly heads: number; readonly scale: number } & RelativeLayer);

/** A row that the server adds: Σ of layer biases, of norm biases, and of norm biases carried through a layer's weights. */
export interface BiasRef {
  readonly layers: readonly string[];
  readonly norms: readonly string[];
  readonly folded: readonly { readonly layer: string; readonly norm: string }[];
  /** Rows of the position table, one for each position (so that the bias is a matrix); `first` has the layers' place at the first. */
  readonly positions: { readonly name: string; readonly offset: number; readonly first?: string } | null;
  readonly scale: number;
  /** Whether each row has lost its mean. */
  readonly centred: boolean;
}

export interface LinearTerm {
  readonly x: ValueId;
  readonly weight: WeightRef;
  /** Index of R among the model's masked weights; -1 for the public identity. */
  readonly weightId: number;
}

/** `part`: one over the number of the text's tokens. */
export type InputSource = "embedding" | "patches" | "mask" | "part" | "place" | "words" | "positions" | "types";

/**
 * Rotary positions in integers, the same on every machine: row i, pair j of a head turns by
 * (position + i)·frequencies[j] / 2^ROTATION_BITS of a full turn.
 */
export interface Rotation {
  readonly heads: number;
  readonly position: number;
  readonly frequencies: readonly number[];
}
export const ROTATION_BITS = 40;
/** Bits after the point of a rotation's cosines and sines. */
export const ROTATION_SCALE_BITS = 12;

/** public part a - secret part: native x = x̂ - r; lifted x = a - r + εβ (polynomial.ts); bit b = c + eρ (compare.ts). */
type VariableKind = "native" | "lifted" | "bit";

export interface Variable {
  readonly x: ValueId;
  readonly kind: VariableKind;
  /** Output elements that share one element of x: 1, or the columns of a row (or of a head). */
  readonly repeat: number;
  /** Lifted: results in rings of up to so many bits have it opened in their own ring instead, where it is native; 0: none. */
  readonly room: number;
}

export interface Monomial {
  readonly coefficient: Constant;
  /** One degree for each variable. */
  readonly degrees: readonly number[];
}

interface Addend {
  readonly x: ValueId;
  readonly coefficient: Constant;
  readonly repeat: number;
}

/** Functions of few values, by a dealt spline: 1/x and 1/sqrt(x). */
export type SplineName = "reciprocal" | "inverseSqrt";

export type OpenMode = "exchange" | "forward" | "toServer" | "reveal" | "toClient";

interface StepBase {
  readonly id: number;
  /** Where it comes from in the model: "layer.0.query". */
  readonly label: string;
  /** The kind of work, for tables: linear, softmax, gelu, norm, embedding, answer. */
  readonly group: string;
}

export type Step = StepBase &
  /** The client's own integers; in a later turn it reads that turn's logits (or token) first: `after`. */
  (
    | { readonly kind: "input"; readonly source: InputSource; readonly after: ValueId | null; readonly out: ValueId }
    /** The same as a share of both parties: of a text that a helper carries, what the client would know unmasked. */
    | { readonly kind: "entry"; readonly source: InputSource; readonly after: null; readonly out: ValueId }
    | {
        readonly kind: "linear";
        readonly terms: readonly LinearTerm[];
        readonly bias: BiasRef | null;
        /** columns·y - Σ_columns y: the mean leaves without a rounding. Where weights can be `centred`, they are instead. */
        readonly centre: boolean;
        /** y turned by its rows' positions, at 2^ROTATION_SCALE_BITS times the scale. Never together with `centre`. */
        readonly rotate: Rotation | null;
        readonly out: ValueId;
      }
    | {
        readonly kind: "open";
        readonly mode: OpenMode;
        readonly x: ValueId;
        readonly shift: number;
        readonly out: ValueId;
      }
    | { readonly kind: "openBits"; readonly x: ValueId; readonly out: ValueId }
    /** Rows and columns of a masked value: out[i, j] = x[row + i, column + j]. */
    | {
        readonly kind: "slice";
        readonly x: ValueId;
        readonly row: number;
        readonly column: number;
        readonly out: ValueId;
      }
    /** A masked value with other rows written from `row` on; rows that neither has are zero. */
    | { readonly kind: "place"; readonly x: ValueId; readonly y: ValueId; readonly row: number; readonly out: ValueId }
    | { readonly kind: "shift"; readonly x: ValueId; readonly shift: number; readonly out: ValueId }
    | { readonly kind: "difference"; readonly x: ValueId; readonly y: ValueId; readonly out: ValueId }
    | {
        readonly kind: "matmul";
        readonly a: ValueId;
        readonly b: ValueId;
        readonly transposeB: boolean;
        /** Heads of a, and how many of them share one of b. */
        readonly heads: number;
        readonly sharing: number;
        readonly out: ValueId;
      }
    | {
        readonly kind: "polynomial";
        readonly variables: readonly Variable[];
        readonly monomials: readonly Monomial[];
        readonly addends: readonly Addend[];
        readonly constant: Constant;
        /** Sums of what lies side by side, as many as the result has columns in each row. */
        readonly rowSum: boolean;
        readonly out: ValueId;
      }
    /** 0, 1, 2, ... along the columns, as a share that the server alone fills. */
    | { readonly kind: "iota"; readonly out: ValueId }
    | { readonly kind: "rowSum"; readonly x: ValueId; readonly heads: number; readonly out: ValueId }
    /** The sum of all rows of a share. */
    | { readonly kind: "columnSum"; readonly x: ValueId; readonly out: ValueId }
    | {
        readonly kind: "keys";
        readonly x: ValueId;
        /** Opened, 1 on the text's rows; null where both constants are one. */
        readonly mask: ValueId | null;
        readonly kept: Constant;
        readonly padded: Constant;
        /**
         * Causal: in row i of a head's `queries` rows, columns beyond `past` + i become `padded`, whatever they held, and those that lie
         * `window` columns or more before it.
         */
        readonly causal: { readonly past: number; readonly queries: number; readonly window: number | null } | null;
        /** Causal: of each head, what a column of the text loses for every column that it lies before `past` + i. */
        readonly slopes: readonly number[] | null;
        readonly out: ValueId;
      }
    /** Adds to scores what they take from the distances of keys from their queries; the server's weights, public distances. */
    | {
        readonly kind: "relative";
        readonly x: ValueId;
        readonly heads: number;
        readonly distances: RelativeSpec;
        /** The position of the first query. */
        readonly from: number;
        /** Products of queries (keys) with the distances' keys (queries), at the result's scale / 2^shift. */
        readonly terms: readonly (LinearTerm & { readonly of: "queries" | "keys" })[];
        readonly shift: number;
        /** A number for each bucket and head, [buckets, heads]; null: none. */
        readonly bias: { readonly name: string; readonly scale: number } | null;
        readonly out: ValueId;
      }
    /** The server adds noise of Gumbel's distribution times `scale`, so that the largest entry is a sample of the softmax. */
    | { readonly kind: "noise"; readonly x: ValueId; readonly scale: number; readonly out: ValueId }
    | {
        readonly kind: "fourier";
        readonly x: ValueId;
        readonly periodBits: number;
        /** Harmonics 1, 2, 3, ... (1), or the odd ones alone (2); as many as there are cosines. */
        readonly stride: 1 | 2;
        readonly cosines: readonly number[];
        readonly sines: readonly number[];
        readonly constant: Constant;
        /** Scale of the public factor; the dealer's cosines have scale 2^trigBits. */
        readonly factorScale: number;
        readonly trigBits: number;
        readonly out: ValueId;
      }
    /**
     * Of each row, how many values lie above place 0, 1, 2, ... of 2^(bits - unitBits): places are 2^unitBits wide and begin at
     * `least`; a value may count in the place above its own.
     */
    | {
        readonly kind: "counts";
        readonly x: ValueId;
        readonly bits: number;
        readonly unitBits: number;
        readonly least: Constant;
        readonly out: ValueId;
      }
    /** Whether x mod 2^bits is not zero, as a bit. */
    | { readonly kind: "nonzero"; readonly x: ValueId; readonly bits: number; readonly out: ValueId }
    /** f(x / largest) of x from `least` to `largest` < 2^bits, times the factor if there is one; at scale 2^(coefficientBits + bits - intervalBits). */
    | {
        readonly kind: "spline";
        readonly x: ValueId;
        readonly of: SplineName;
        /** The period of the opening. */
        readonly bits: number;
        /** 2^intervalBits intervals, each with a polynomial of this degree. */
        readonly intervalBits: number;
        readonly degree: number;
        readonly least: number;
        readonly largest: number;
        /** Bits after the point of the polynomials' coefficients. */
        readonly coefficientBits: number;
        readonly factor: ValueId | null;
        readonly out: ValueId;
      }
    | { readonly kind: "lessThan"; readonly x: ValueId; readonly blocks: number; readonly out: ValueId }
    | { readonly kind: "carry"; readonly x: ValueId; readonly nodes: number; readonly out: ValueId }
  );

export type StepKind = Step["kind"];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

/** One one-way latency: what is computed before it, and what crosses the wire in it. */
export interface Flight {
  readonly local: readonly number[];
  readonly opens: readonly number[];
}

/** What a program is for, beside the model: public, and part of what the parties agree on. */
export interface Shape {
  /** The padded length of the text. */
  readonly length: number;
  /**
   * Whether the text may be as short as any, so that the padded length tells nothing of it. Otherwise it has more tokens than the next
   * smaller length (program/lengths.ts), which narrows the range of what is summed over them.
   */
  readonly anyLength: boolean;
  /** How often logits are asked for: 1, or of a decoder one turn for each new token. */
  readonly turns: number;
  /** Whether a decoder gives the logits of all positions of the text, not of the last alone. */
  readonly scoring: boolean;
  /** Of the noise under which the next token is chosen where the client learns the token alone; 0: the likeliest. */
  readonly temperature: number;
  /** Whether a helper plays the client for the text's owner, so that the client side itself must learn nothing (protocols/cover.ts). */
  readonly carried: boolean;
  /** Whether what the client opens is checked before each answer (protocols/verify). */
  readonly verified: boolean;
}

/** One turn over one text, as encoders have it. */
export function oneTurn(length: number): Shape {
  return { length, anyLength: false, turns: 1, scoring: false, temperature: 0, carried: false, verified: false };
}

export interface Program {
  readonly shape: Shape;
  readonly values: readonly Value[];
  readonly steps: readonly Step[];
  /** By step: the values that it reads. Follows from the steps, so that parties do not compare it. */
  readonly reads: readonly (readonly ValueId[])[];
  readonly flights: readonly Flight[];
  /** The masked weights of the model in the order of their ids. */
  readonly weights: readonly WeightSlot[];
  /** What the client learns, of each turn. */
  readonly answers: readonly ValueId[];
  /** The flight in which each turn begins: 0, then those that the client's next token travels in. */
  readonly turns: readonly number[];
  /** Bits of precision that every value gave up for the rings to have 64. Follows from the plan: parties do not compare it. */
  readonly slack: number;
}

/** One operand of the model's linear steps, as the dealer holds it masked. Equal weights used twice have one slot. */
export interface WeightSlot {
  readonly id: number;
  readonly ref: WeightRef;
  readonly rows: number;
  readonly columns: number;
}

/** A plan that cannot be: a value outgrows the ring, a range includes what the function cannot take. */
export class PlanError extends Error {
  override readonly name = "PlanError";
}

/** A value needs a ring wider than 64 bits at this precision; with fewer bits after the point it may fit. */
export class RingOverflow extends PlanError {
  /** Of the value that does not fit. */
  readonly value: string;

  constructor(value: string, bits: number) {
    super(`"${value}" needs a ring of ${bits} bits, 64 are there: narrow its range or lower the margin`);
    this.value = value;
  }
}

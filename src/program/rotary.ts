/** Rotary positions (Su et al., RoFormer, arXiv:2104.09864) as a model declares them, and the angles that follow. */

import { realPower } from "./maths.ts";

/** How angles are made smaller for texts beyond those that a model was first trained on. */
export type RotaryScaling =
  | { readonly kind: "linear"; readonly factor: number }
  /** Llama 3's: slow pairs are slowed by `factor`, fast ones not at all, those between in part; `original` positions were trained. */
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly low: number;
      readonly high: number;
      readonly original: number;
    };

/** How the angles of a model's positions are made. */
export interface RotarySpec {
  /** The base: column pair j of n turns by theta^(-j / n) at each position. */
  readonly theta: number;
  /** Columns of a head that are turned; null: all. The others' pairs stand behind them in both halves of a head. */
  readonly width: number | null;
  readonly scaling: RotaryScaling | null;
  /** Layers without positions. */
  readonly without: readonly number[];
}

/** The angle by which each of a head's column pairs turns at each position, in radians. */
export function frequenciesOf({ theta, width, scaling }: RotarySpec, headWidth: number): readonly number[] {
  const turned = (width ?? headWidth) / 2;
  return Array.from({ length: headWidth / 2 }, (_, j) =>
    j < turned ? scaled(realPower(theta, -j / turned), scaling) : 0,
  );
}

function scaled(frequency: number, scaling: RotaryScaling | null): number {
  if (scaling === null) return frequency;
  const { factor } = scaling;
  if (scaling.kind === "linear") return frequency / factor;
  const { low, high, original } = scaling;
  const turns = (original * frequency) / (2 * Math.PI);
  if (turns > high) return frequency;
  if (turns < low) return frequency / factor;
  const part = (turns - low) / (high - low);
  return (1 - part) * (frequency / factor) + part * frequency;
}

/** What a config.json says of rotary positions: the base, a part of the heads, scaling for longer texts. */

import * as v from "valibot";
import type { RotaryScaling, RotarySpec } from "../program/rotary.ts";
import { sizes } from "./bounds.ts";

const THETA = 10_000;
/** Their base. */
export const theta = v.nullish(
  v.pipe(v.number(), v.minValue(1, "must be 1 or more"), v.maxValue(1e12, "must be 1e12 or less")),
);
const kind = v.nullish(
  v.picklist(["default", "linear", "llama3"], "must be default, linear or llama3: other scalings are not supported"),
);
const part = v.nullish(
  v.pipe(v.number(), v.minValue(0.01, "must be 0.01 or more"), v.maxValue(1, "must be 1 or less")),
);
const factor = v.nullish(
  v.pipe(v.number(), v.minValue(1, "must be 1 or more"), v.maxValue(1e6, "must be 1e6 or less")),
);
/** One set of rotary positions, as newer files have them. */
export const rope = v.nullish(
  v.strictObject({
    rope_type: kind,
    type: kind,
    rope_theta: theta,
    factor,
    low_freq_factor: factor,
    high_freq_factor: factor,
    original_max_position_embeddings: v.nullish(sizes.positions),
    partial_rotary_factor: part,
  }),
);

/** The fields of rotary positions, old and new. */
export const rotaryFields = {
  rope_theta: theta,
  rope_scaling: rope,
  rope_parameters: rope,
  partial_rotary_factor: part,
} as const;

const schema = v.object(rotaryFields);
type Config = Partial<v.InferOutput<typeof schema>>;

/**
 * The rotary positions of a checked config.json.
 * @param usualPart the part of a head that is turned where the file does not say
 * @throws an Error when the places that may say a thing say different ones, or no whole pairs of columns are turned.
 */
export function rotaryIn(config: Config, headWidth: number, usualPart = 1): RotarySpec {
  const { rope_parameters: now, rope_scaling: before } = config;
  const base = once("rope_theta", [now?.rope_theta, before?.rope_theta, config.rope_theta]) ?? THETA;
  const portion =
    once("partial_rotary_factor", [
      now?.partial_rotary_factor,
      before?.partial_rotary_factor,
      config.partial_rotary_factor,
    ]) ?? usualPart;
  const width = Math.floor(headWidth * portion);
  if (width % 2 !== 0 || headWidth % 2 !== 0 || width === 0)
    throw new Error("config.json: rotary positions need heads of an even width");
  return { theta: base, width: width === headWidth ? null : width, scaling: scalingIn(now ?? before), without: [] };
}

function once(name: string, places: readonly (number | null | undefined)[]): number | undefined {
  const said = places.filter((one) => typeof one === "number");
  if (said.some((one) => one !== said[0]))
    throw new Error(`config.json: ${name} is told twice and not the same: remove one`);
  return said[0];
}

function scalingIn(config: Config["rope_scaling"]): RotaryScaling | null {
  const type = config?.rope_type ?? config?.type ?? "default";
  const scale = config?.factor ?? 1;
  if (type === "default") {
    if (scale !== 1) throw new Error("config.json: rope_parameters: factor needs a rope_type of linear or llama3");
    return null;
  }
  if (type === "linear") return scale === 1 ? null : { kind: "linear", factor: scale };
  const { low_freq_factor: low, high_freq_factor: high, original_max_position_embeddings: original } = config ?? {};
  if (typeof low !== "number" || typeof high !== "number" || typeof original !== "number" || low >= high) {
    throw new Error(
      "config.json: rope_parameters: llama3 needs low_freq_factor < high_freq_factor and original_max_position_embeddings",
    );
  }
  return { kind: "llama3", factor: scale, low, high, original };
}

/** The fields that `rotaryIn` reads. */
export function writtenRotary({ theta: base, width, scaling }: RotarySpec, headWidth: number): Record<string, unknown> {
  const portion = width === null ? {} : { partial_rotary_factor: width / headWidth };
  if (scaling === null) return { rope_theta: base, ...portion };
  const { kind: type, factor: scale } = scaling;
  const more =
    scaling.kind === "linear"
      ? {}
      : {
          low_freq_factor: scaling.low,
          high_freq_factor: scaling.high,
          original_max_position_embeddings: scaling.original,
        };
  return { rope_parameters: { rope_type: type, rope_theta: base, factor: scale, ...more, ...portion } };
}

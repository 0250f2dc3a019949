/** Windows of attention as config.json files write them. */

import * as v from "valibot";
import type { Blocks, ModelSpec } from "../program/spec.ts";
import { sizes } from "./bounds.ts";

type Window = Blocks["window"];

const FULL = "full_attention";
const SLIDING = "sliding_attention";

/** A kind for each layer. */
export const layerTypes = v.nullish(
  v.array(v.picklist([FULL, SLIDING], "must be full_attention or sliding_attention: others are not supported")),
);

/** The switch, the window, and which layers have it, as Qwen has them. */
export const windowFields = {
  use_sliding_window: v.nullish(v.boolean(), false),
  sliding_window: v.optional(v.nullable(sizes.positions), 4096),
  max_window_layers: v.nullish(v.number(), 28),
  layer_types: layerTypes,
};

/** A window of these layers, of all unless told; null without a size. */
export function windowOf(size: number | null | undefined, layers: number, has = (_layer: number) => true): Window {
  const own = Array.from({ length: layers }, (_, i) => i).filter(has);
  return typeof size !== "number" || own.length === 0 ? null : { size, layers: own };
}

/**
 * The window of the layers that a file lists, or else of those that `usual` says.
 * @throws an Error for a list of another length.
 */
export function listedWindow(
  size: number | null | undefined,
  types: readonly string[] | null | undefined,
  layers: number,
  usual: (layer: number) => boolean,
): Window {
  if ((types ?? null) !== null && types?.length !== layers)
    throw new Error("config.json: layer_types must have one entry a layer");
  return windowOf(size, layers, (i) => (types ? types[i] === SLIDING : usual(i)));
}

/** The window of files with a switch; `usual`: the layers that have it where it is on and the file lists none. */
export function switchedWindow(
  config: {
    readonly use_sliding_window: boolean | null;
    readonly sliding_window: number | null;
    readonly max_window_layers: number | null;
    readonly layer_types?: readonly string[] | null | undefined;
  },
  layers: number,
  usual = (layer: number) => layer >= (config.max_window_layers ?? 28),
): Window {
  const on = config.use_sliding_window === true;
  return listedWindow(config.sliding_window, config.layer_types, layers, (i) => on && usual(i));
}

/** The list that `listedWindow` reads. */
export function writtenTypes({ blocks, layers }: ModelSpec): readonly string[] {
  return Array.from({ length: layers }, (_, i) => (blocks.window?.layers.includes(i) ? SLIDING : FULL));
}

/** The fields that `switchedWindow` reads. */
export function writtenSwitch(spec: ModelSpec): Readonly<Record<string, unknown>> {
  const { window } = spec.blocks;
  return {
    use_sliding_window: window !== null,
    sliding_window: window?.size ?? null,
    layer_types: writtenTypes(spec),
  };
}

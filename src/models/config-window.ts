/** Windows of attention that a switch of config.json turns on, as Qwen has them. */

import * as v from "valibot";
import { sizes } from "./config-fields.ts";

/** The switch, the window, and which layers have it. */
export const windowFields = {
  use_sliding_window: v.nullish(v.boolean(), false),
  sliding_window: v.nullish(sizes.positions),
  max_window_layers: v.nullish(v.number()),
  layer_types: v.nullish(
    v.array(
      v.picklist(
        ["full_attention", "sliding_attention"],
        "must be full_attention or sliding_attention: others are not supported",
      ),
    ),
  ),
};

/** The window, if it is on. Texts up to it see all of themselves, in whichever layers it is. */
export function switchedWindow(config: {
  readonly use_sliding_window: boolean | null;
  readonly sliding_window?: number | null | undefined;
  readonly layer_types?: readonly string[] | null | undefined;
}): number | null {
  const { use_sliding_window: on, sliding_window: window = null, layer_types: types } = config;
  const slides = on === true || (types ?? []).includes("sliding_attention");
  if (slides && on === true && window === null) return 4096;
  return slides ? window : null;
}

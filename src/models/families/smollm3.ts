/** SmolLM3: Llama with layers that see no positions. */

import * as v from "valibot";
import { whole } from "../bounds.ts";
import { switchedWindow, windowFields, writtenSwitch } from "../config-window.ts";
import type { Family } from "./family.ts";
import { biasesOf, llamaBiases, llamaBlocks, llamaConfig, llamaNames, writtenBiases } from "./llama.ts";

interface Config {
  readonly no_rope_layers?: readonly (0 | 1)[] | null | undefined;
  readonly no_rope_layer_interval: number | null;
}

/** The layers that turn nothing: those with a 0 in the file's list, or every fourth. @throws an Error for a list of another length */
function withoutPositions(
  { no_rope_layers: list, no_rope_layer_interval: interval }: Config,
  layers: number,
): number[] {
  const all = Array.from({ length: layers }, (_, i) => i);
  if (list === null || list === undefined) return all.filter((i) => (i + 1) % (interval ?? 4) === 0);
  if (list.length !== layers) throw new Error("config.json: no_rope_layers must have one entry a layer");
  return all.filter((i) => list[i] === 0);
}

/** The definition of SmolLM3's models. */
export const smollm3: Family = {
  name: "smollm3",
  className: "SmolLM3",
  headName: "ForCausalLM",
  isDecoder: true,
  blocks: llamaBlocks,
  config: llamaConfig({
    name: "smollm3",
    className: "SmolLM3",
    fields: {
      ...llamaBiases,
      ...windowFields,
      no_rope_layers: v.nullish(v.array(v.picklist([0, 1]))),
      no_rope_layer_interval: v.nullish(whole(1, 128), 4),
    },
    tied: true,
    blocks(blocks, config, { layers }) {
      const without = withoutPositions(config, layers);
      const window = switchedWindow(config, layers, (i) => without.includes(i));
      return { ...blocks, biases: biasesOf(config), rotary: { ...blocks.rotary, without }, window };
    },
    write: (spec) => ({
      ...writtenBiases(spec),
      ...writtenSwitch(spec),
      no_rope_layers: Array.from({ length: spec.layers }, (_, i) => (spec.blocks.rotary?.without.includes(i) ? 0 : 1)),
    }),
  }),
  names: llamaNames,
};

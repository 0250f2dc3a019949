/** All families of models, registered here once: adding one is its definition, its fixture and its line in the list, and in known.ts. */

import type { ModelSpec } from "../../program/spec.ts";
import { albert } from "./albert.ts";
import { bert } from "./bert.ts";
import { bloom } from "./bloom.ts";
import { camembert } from "./camembert.ts";
import { codegen } from "./codegen.ts";
import { debertaV2 } from "./deberta-v2.ts";
import { distilbert } from "./distilbert.ts";
import { electra } from "./electra.ts";
import { falcon } from "./falcon.ts";
import type { Family } from "./family.ts";
import { gemma } from "./gemma.ts";
import { gemma2 } from "./gemma2.ts";
import { gemma3 } from "./gemma3.ts";
import { gptBigcode } from "./gpt-bigcode.ts";
import { gptNeo } from "./gpt-neo.ts";
import { gptNeox } from "./gpt-neox.ts";
import { gpt2 } from "./gpt2.ts";
import { gptj } from "./gptj.ts";
import { familyNames } from "./known.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { mpnet } from "./mpnet.ts";
import { mpt } from "./mpt.ts";
import { olmo2 } from "./olmo2.ts";
import { opt } from "./opt.ts";
import { phi } from "./phi.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { roberta } from "./roberta.ts";
import { smollm3 } from "./smollm3.ts";
import { stablelm } from "./stablelm.ts";
import { starcoder2 } from "./starcoder2.ts";
import { vit } from "./vit.ts";
import { xlmRoberta } from "./xlm-roberta.ts";

/** Every family, encoders first. */
const families: readonly Family[] = [
  ...[bert, roberta, distilbert, xlmRoberta, camembert, electra, albert, mpnet, debertaV2, vit],
  ...[gpt2, opt, llama, qwen2, qwen3, mistral, phi3, smollm3, gemma],
  ...[starcoder2, gptBigcode, gptNeox, phi, gptj, codegen],
  ...[gemma2, gemma3, olmo2, stablelm, falcon, bloom, mpt, gptNeo],
];

const byName: ReadonlyMap<string, Family> = new Map(families.map((family) => [family.name, family]));

/** @throws an Error that lists the known families. */
export function familyOf(name: string): Family {
  const family = byName.get(name);
  if (family === undefined) throw new Error(`unknown architecture: use one of ${familyNames.join(", ")}`);
  return family;
}

/** What every spec of a family has: to make one without a config.json. */
export function baseOf(name: string): Pick<ModelSpec, "architecture" | "isDecoder" | "blocks"> {
  const { isDecoder, blocks } = familyOf(name);
  return { architecture: name, isDecoder, blocks };
}

/** XLM-RoBERTa (Conneau et al., arXiv:1911.02116): RoBERTa with a vocabulary of many languages. */

import { bertConfig } from "./bert.ts";
import type { Family } from "./family.ts";
import { roberta } from "./roberta.ts";

/** The definition of XLMRoberta's models. */
export const xlmRoberta: Family = {
  ...roberta,
  name: "xlm-roberta",
  className: "XLMRoberta",
  config: bertConfig("xlm-roberta", "XLMRoberta", roberta.blocks),
};

/** CamemBERT (Martin et al., arXiv:1911.03894): RoBERTa for French. */

import { bertConfig } from "./bert.ts";
import type { Family } from "./family.ts";
import { roberta } from "./roberta.ts";

/** The definition of Camembert's models. */
export const camembert: Family = {
  ...roberta,
  name: "camembert",
  className: "Camembert",
  config: bertConfig("camembert", "Camembert", roberta.blocks),
};

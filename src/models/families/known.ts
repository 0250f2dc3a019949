/**
 * The names of all families, and which tokenizer their folders have: all that a client must know of them. The rest comes with a model's
 * spec, so that no client loads what reads folders.
 */

/** The tokenizer class of folders that name none; null: tokenizer.json is taken as it is. Encoders first. */
const TOKENIZER_CLASSES = {
  bert: "BertTokenizer",
  roberta: "RobertaTokenizer",
  distilbert: "DistilBertTokenizer",
  "xlm-roberta": "XLMRobertaTokenizer",
  camembert: "CamembertTokenizer",
  electra: "ElectraTokenizer",
  albert: "AlbertTokenizer",
  mpnet: "MPNetTokenizer",
  "deberta-v2": "DebertaV2Tokenizer",
  vit: null,
  gpt2: "GPT2Tokenizer",
  opt: "GPT2Tokenizer",
  llama: null,
  qwen2: null,
  qwen3: null,
  mistral: null,
  phi3: null,
  smollm3: null,
  gemma: "GemmaTokenizer",
  starcoder2: null,
  gpt_bigcode: "GPT2Tokenizer",
  gpt_neox: "GPTNeoXTokenizer",
  phi: null,
  gptj: "GPT2Tokenizer",
  codegen: "GPT2Tokenizer",
  gemma2: "GemmaTokenizer",
  gemma3_text: "GemmaTokenizer",
  olmo2: null,
  stablelm: null,
  falcon: null,
  bloom: null,
  mpt: "GPTNeoXTokenizer",
  gpt_neo: "GPT2Tokenizer",
} as const satisfies Readonly<Record<string, string | null>>;

/** `model_type` in a config.json. */
export type FamilyName = keyof typeof TOKENIZER_CLASSES;

/** The names of all families. */
export const familyNames: readonly string[] = Object.keys(TOKENIZER_CLASSES);

/** The tokenizer class of a family's folders that name none; null where that is tokenizer.json as it is, or the family is unknown. */
export function tokenizerClassOf(family: string): string | null {
  const classes: Readonly<Record<string, string | null>> = TOKENIZER_CLASSES;
  return Object.hasOwn(classes, family) ? classes[family] : null;
}

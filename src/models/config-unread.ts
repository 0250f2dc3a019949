/**
 * Fields of a config.json that this program does not read. Whoever wrote one may mean another function than the one computed
 * here, and that would be a wrong answer without a word. Three kinds:
 *
 * - fields that are known to change nothing about inference (training, generation settings, metadata): ignored;
 * - fields that are off (null, false, empty): ignored;
 * - of all others, those whose name speaks of a part of a network are refused by name, also when nobody knows them: the
 *   operator, who owns the file, can remove a note that means nothing. Names that speak of nothing in a network are notes:
 *   transformers ignores them too, and so many are in use that refusing them would refuse most real models.
 */

import { printable } from "./json.ts";

/** Fields that real files of these architectures have and that change nothing about inference. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  ..."_name_or_path name_or_path name model_name transformers_version torch_dtype dtype use_bfloat16 torchscript".split(
    " ",
  ),
  ..."architectures model_type label2id num_labels _num_labels language task_specific_params finetuning_task".split(
    " ",
  ),
  ..."use_cache return_dict output_attentions output_hidden_states output_past chunk_size_feed_forward".split(" "),
  ..."attn_implementation _attn_implementation _attn_implementation_autoset _attn_implementation_internal".split(" "),
  ..."use_flash_attention use_flash_attention_2 use_flash_attn use_memory_efficient_attention".split(" "),
  ..."gradient_checkpointing tf_legacy_loss directionality pooler_fc_size pooler_num_attention_heads".split(" "),
  ..."pooler_num_fc_layers pooler_size_per_head pooler_type tokenizer_class prefix n_ctx".split(" "),
  ..."pretraining_tp model_max_length max_seq_length max_sequence_length max_seq_len sentence_transformers".split(" "),
  ..."sbert_ce_default_activation_function problem_type classifier_dropout use_auth_token use_fast".split(" "),
  // Of generation: this program's own flags decide how it continues a text.
  ..."max_length max_new_tokens min_length do_sample early_stopping num_beams num_beam_groups temperature top_k".split(
    " ",
  ),
  ..."top_p typical_p repetition_penalty length_penalty diversity_penalty no_repeat_ngram_size renormalize_logits".split(
    " ",
  ),
  ..."encoder_no_repeat_ngram_size num_return_sequences bad_words_ids output_scores remove_invalid_values".split(" "),
  ..."exponential_decay_length_penalty suppress_tokens begin_suppress_tokens padding_side truncation_side".split(" "),
]);
const WITHOUT_EFFECT_PATTERNS: readonly RegExp[] = [
  /(^|_)(\w?pdrop|dropout|layerdrop|drop_path)(_|$)/,
  /(^|_)(initializer|init_std|init_range)(_|$)/,
  /(^|_)tokens?(_ids?)?$/,
  /^(summary|unsloth|wandb|train|training|eval|optimizer|lr)_/,
  /(^|_)(loss|seed|epochs?|dataset|datasets|learning_rate|warmup\w*|batch_size|version|commit_hash|license)(_|$)/,
];

/** Words that name a part of a network, as the fields of some 400 architectures have them. */
const PARTS = new RegExp(
  `(^|_)(${[
    "rel|relative|alibi|rope|rotary|theta|position\\w*|pos|window|sliding\\w*|local|global|causal|bidirectional|mask\\w*",
    "norm\\w*|rms\\w*|layernorm|eps|epsilon|bias|biases|scal\\w*|multiplier|softcap\\w*|cap|clip\\w*|clamp\\w*|slope",
    "act|activation\\w*|relu|gelu|silu|swiglu|geglu|glu|gate\\w*|gating|mlp|ffn?|ffw|feedforward|inner|intermediate|hidden",
    "attn|attention|query|queries|keys?|values?|qkv?|kv?|heads?|groups?|experts?|moe|router|routing|topk|expand|expansion",
    "lora|ia3|adapters?|adapter\\w*|peft|quant\\w*|compress\\w*|sparse|sparsity|pruned?|pruning|parallel|residual|skip",
    "embed\\w*|emb|layers?|blocks?|tied?|shared?|sharing|dims?|dimension|size|width|depth|depths|conv\\w*|pool\\w*",
    "recurrent|recurrence|ssm|mamba|memory|mem|sinks?|registers?|logits?|project\\w*|proj|patch\\w*|image|vision|audio",
    "segments?|types?|kernel|stride|dilation|auto_map|cross|encoder|decoder|config|ngram|trigram|buckets?|low_?rank|rank",
  ].join("|")})\\d*(_|$)`,
);
const COUNTS = /^(use|num|n|d)_/;

/**
 * @param json a parsed config.json
 * @param read the names that its reader knows
 * @throws an Error that names a field which is set, is not read here, and could change what the model computes.
 */
export function checkUnread(json: object, read: Iterable<string>): void {
  const known = new Set(read);
  for (const [name, value] of Object.entries(json)) {
    if (known.has(name) || isOff(value) || isWithoutEffect(name)) continue;
    if (!PARTS.test(name.toLowerCase()) && !COUNTS.test(name)) continue;
    throw new Error(
      `config.json: ${printable(name, 60)} is not supported: remove the field if the model computes the same without it`,
    );
  }
}

function isWithoutEffect(name: string): boolean {
  return WITHOUT_EFFECT.has(name) || WITHOUT_EFFECT_PATTERNS.some((pattern) => pattern.test(name));
}

function isOff(value: unknown): boolean {
  if (value === null || value === false || value === "") return true;
  return typeof value === "object" && Object.keys(value as object).length === 0;
}

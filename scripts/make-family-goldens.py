"""Makes a small folder a family under test/models/fixtures/families (images: models that read these) and what PyTorch computes with it (golden.json).

Needs torch and transformers 5; run from the repository's root: python scripts/make-family-goldens.py [NAME ...]
The weights are random and large enough that every part of a model shows; the tokenizer is a list of words.
"""

import json
import math
import os
import shutil
import sys

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageClassification, AutoModelForMaskedLM, AutoModelForSequenceClassification

ROOT = "test/models/fixtures/families"
WORDS = "[PAD] [UNK] [CLS] [SEP] the a film story is was gripping slow old river house by of in and but long".split()
MASKED_TEXT = "the old film is a [MASK] story of the river"
TEXT = "the old film is a gripping story of the river and was slow but long"

ENCODER = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
BERT = {**ENCODER, "max_position_embeddings": 40, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
LLAMA = {**ENCODER, "num_key_value_heads": 2, "max_position_embeddings": 64}
GPT2 = {"n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0, "position_biased_input": False}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 1000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
HALF = {"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.5}
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}
GEMMA3 = {
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
    },
}
OPT = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "ffn_dim": 48, "max_position_embeddings": 64}
FALCON = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4}
NEO = {"num_layers": 2, "hidden_size": 32, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 5}
NEO |= {"max_position_embeddings": 64}

# Falcon's eager attention subtracts its slopes twice; the one that it has unless told does it once.
ATTENTION = {"falcon-alibi": "sdpa"}

# By folder: the family's model_type and its config.
MODELS = {
    "distilbert": ("distilbert", {"n_layers": 2, "dim": 32, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 40}),
    "xlm-roberta": ("xlm-roberta", {**BERT, "pad_token_id": 0, "type_vocab_size": 1}),
    "camembert": ("camembert", {**BERT, "pad_token_id": 0, "type_vocab_size": 1}),
    "electra": ("electra", {**BERT, "embedding_size": 16, "type_vocab_size": 2}),
    "albert": ("albert", {**BERT, "num_hidden_layers": 4, "num_hidden_groups": 2, "embedding_size": 16}),
    "albert-wide": ("albert", {**BERT, "embedding_size": 32}),
    "mpnet": ("mpnet", {**BERT, "pad_token_id": 1}),
    "deberta-v2": ("deberta-v2", {**BERT, **DEBERTA, "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_buckets": 8}),
    "deberta-v2-own-keys": ("deberta-v2", {**BERT, **DEBERTA, "max_relative_positions": 10, "type_vocab_size": 2, "position_biased_input": True}),
    "vit": ("vit", {**ENCODER, "image_size": 18, "patch_size": 6}),
    "qwen2": ("qwen2", {**LLAMA, "tie_word_embeddings": True}),
    "qwen3": ("qwen3", {**LLAMA, "head_dim": 12, "attention_bias": True, "tie_word_embeddings": True}),
    "mistral": ("mistral", {**LLAMA, "head_dim": 16, "sliding_window": 32}),
    "phi3": ("phi3", {**LLAMA, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.5}}),
    "smollm3": ("smollm3", {**LLAMA, "no_rope_layers": [1, 0]}),
    "starcoder2": ("starcoder2", LLAMA),
    "gpt-bigcode": ("gpt_bigcode", GPT2),
    "gpt-neox": ("gpt_neox", {**ENCODER, "max_position_embeddings": 64, "rotary_pct": 0.5}),
    "phi": ("phi", {**ENCODER, "max_position_embeddings": 64}),
    "gptj": ("gptj", {**GPT2, "rotary_dim": 4}),
    "codegen": ("codegen", {**GPT2, "rotary_dim": 4, "n_ctx": 64}),
    "gemma": ("gemma", {**LLAMA, "head_dim": 16}),
    "gemma2": ("gemma2", {**LLAMA, "head_dim": 16, "sliding_window": 5, "query_pre_attn_scalar": 12, **CAPS}),
    "gemma3": ("gemma3_text", {**LLAMA, "num_hidden_layers": 3, "head_dim": 16, "sliding_window": 5, **GEMMA3}),
    "olmo2": ("olmo2", LLAMA),
    "stablelm": ("stablelm", {**LLAMA, "use_qkv_bias": True, "rope_parameters": HALF}),
    "stablelm-parallel": ("stablelm", {**LLAMA, "use_parallel_residual": True, "rope_parameters": HALF}),
    "falcon": ("falcon", {**FALCON, "ffn_hidden_size": 48}),
    "falcon-groups": ("falcon", {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-alibi": ("falcon", {**FALCON, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True}),
    "bloom": ("bloom", {"n_layer": 2, "hidden_size": 48, "n_head": 6}),
    "mpt": ("mpt", {"n_layers": 2, "d_model": 48, "n_heads": 6, "max_seq_len": 64}),
    "gpt-neo": ("gpt_neo", NEO),
    "opt-350m": ("opt", {**OPT, "word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "mistral-window": ("mistral", {**LLAMA, "sliding_window": 5}),
    "qwen2-window": ("qwen2", {**LLAMA, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}),
    "llama-bias": ("llama", {**LLAMA, "attention_bias": True, "mlp_bias": True}),
    "llama3": ("llama", {**LLAMA, "head_dim": 16, "rope_parameters": LLAMA3, "tie_word_embeddings": True}),
}


def words(folder, encoder, vocabulary=WORDS, text=TEXT):
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if encoder:
        marks = [("[CLS]", 2), ("[SEP]", 3)]
        tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", marks)
    tokenizer.save(f"{folder}/tokenizer.json")
    with open(f"{folder}/tokenizer_config.json", "w") as file:
        masks = {"mask_token": "[MASK]"} if "[MASK]" in vocabulary else {}
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", **masks}, file)
    return tokenizer.encode(text).ids


def spread(model):
    """Weights large enough that every part shows."""
    with torch.no_grad():
        for values in model.parameters():
            if values.dim() == 1:  # gains are about 1, biases about 0
                values.add_(torch.randn_like(values) * 0.1)
            else:
                values.normal_(0, 0.15)


def image(config):
    """Pixels that no two places have alike, to three digits."""
    count = config.num_channels * config.image_size**2
    return [round(1.5 * math.sin(0.7 * i) * math.cos(0.013 * i * i), 3) for i in range(count)]


def make(name):
    kind, fields = MODELS[name]
    folder = f"{'test/models/fixtures/images' if kind in IMAGES else ROOT}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    ends = {"bos_token_id": 2, "eos_token_id": 3}
    words_of = {} if kind in IMAGES else {"pad_token_id": 0, **ends, "vocab_size": len(WORDS)}
    config = AutoConfig.for_model(kind, **{**words_of, **fields})
    encoder = kind in ENCODERS
    torch.manual_seed(len(name))
    task = AutoModelForSequenceClassification if encoder else AutoModelForCausalLM
    if kind in IMAGES:
        task = AutoModelForImageClassification
    model = task.from_config(config, attn_implementation=ATTENTION.get(name, "eager")).eval()
    spread(model)
    model.save_pretrained(folder)
    ids = [] if kind in IMAGES else words(folder, encoder)
    pixels = image(config) if kind in IMAGES else []
    with torch.no_grad():
        if kind in IMAGES:
            size = config.image_size
            logits = model(torch.tensor(pixels).reshape(1, config.num_channels, size, size)).logits[0]
        else:
            logits = model(torch.tensor([ids])).logits[0]
    rows = [[round(x, 5) for x in row] for row in logits.reshape(-1, logits.shape[-1]).tolist()]
    golden = {"text": TEXT, "ids": ids, "types": [0] * len(ids), "logits": rows}
    if kind in IMAGES:
        golden = {"pixels": pixels, "logits": rows}
    with open(f"{folder}/golden.json", "w") as file:
        json.dump(golden, file, separators=(",", ":"))
    if os.path.exists(f"{folder}/generation_config.json"):
        os.remove(f"{folder}/generation_config.json")
    print(name, sum(os.path.getsize(f"{folder}/{file}") for file in os.listdir(folder)))


# By folder of test/models/fixtures/masked: the same of models that fill masked words.
SMALL = {**ENCODER, "hidden_size": 16, "intermediate_size": 24, "max_position_embeddings": 24}
MASKED = {
    "bert": ("bert", SMALL),
    "roberta": ("roberta", {**SMALL, "type_vocab_size": 1}),
    "distilbert": ("distilbert", {"n_layers": 2, "dim": 16, "n_heads": 4, "hidden_dim": 24, "max_position_embeddings": 24}),
    "electra": ("electra", {**SMALL, "embedding_size": 8}),
    "albert": ("albert", {**SMALL, "embedding_size": 8}),
}


def make_masked(name):
    kind, fields = MASKED[name]
    folder = f"test/models/fixtures/masked/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    vocabulary = [*WORDS, "[MASK]"]
    config = AutoConfig.for_model(kind, **{"pad_token_id": 0, **fields, "vocab_size": len(vocabulary)})
    torch.manual_seed(len(name))
    model = AutoModelForMaskedLM.from_config(config, attn_implementation="eager").eval()
    spread(model)
    model.save_pretrained(folder)
    ids = words(folder, True, vocabulary, MASKED_TEXT)
    place = ids.index(len(WORDS))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0][place]
    golden = {"text": MASKED_TEXT, "ids": ids, "place": place, "logits": [round(x, 5) for x in logits.tolist()]}
    with open(f"{folder}/golden.json", "w") as file:
        json.dump(golden, file, separators=(",", ":"))
    print("masked", name, sum(os.path.getsize(f"{folder}/{file}") for file in os.listdir(folder)))


IMAGES = {"vit"}
ENCODERS = {"distilbert", "xlm-roberta", "camembert", "electra", "albert", "albert-wide", "mpnet", "deberta-v2"}
for one in sys.argv[1:] or [*MODELS, *(f"masked/{name}" for name in MASKED)]:
    make_masked(one[len("masked/") :]) if one.startswith("masked/") else make(one)

"""Makes the small GGUF files under test/models/fixtures/gguf and what PyTorch computes with them (golden.json).

Needs torch, transformers 5, accelerate and gguf; run from the repository's root: python scripts/make-gguf-goldens.py [families]
Weights are random, tokenizers are trained on the sentences of make-goldens.py. Values of quantised blocks are those of the
gguf package, ids and logits those of transformers reading the same file, unless it does not cut texts as the named model's
own tokenizer.json does (see PRE).
"""

import base64
import json
import os
import shutil
import sys
from importlib.machinery import SourceFileLoader

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Q
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as SPLITS

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()
ROOT = f"{goldens.ROOT}/gguf"
TEXTS = [
    "It was a wonderful evening",
    " is slow,\n\n but  its ending ISN'T 123456.",
    "Zwölf Boxkämpfer 東京 👍🏽 $12.50 e\u0301 don't",
    "<|start|>the captain told us:<|end|>\n we'll see\t.<think> HTMLParser/fooBar\r\n/",
]
# Rows of a tensor of each type: quantised by the package where it can, blocks of random bytes where it only reads.
QUANTISED = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0]
SCALES = {Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
WIDTH, LAYERS, HEADS, KEY_HEADS, INNER = 64, 2, 4, 2, 96
digits = lambda: pre_tokenizers.Digits(individual_digits=True)
split = lambda name: pre_tokenizers.Split(Regex(SPLITS[name]), behavior="isolated")
# The names of cuts, and the steps before the letters of bytes in such a model's tokenizer.json; None: GPT-2's rule alone.
PRE = {"gpt-2": None, "smollm": digits, "starcoder": digits}
PRE |= {name: (lambda name=name: split(name)) for name in ("llama-bpe", "smaug-bpe", "qwen2", "tekken", "gpt-4o")}


def random_blocks(kind, rows, columns, rng):
    """Blocks of random bytes with scales that are numbers."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (rows * columns // values, size), dtype=np.uint8)
    for at in SCALES[kind]:
        scales = rng.normal(0, 0.01, len(blocks)).astype(np.float16)
        blocks[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(rows, -1)


def blocks(rng):
    """One tensor of each type that is read, and its values in base64."""
    writer = gguf.GGUFWriter(f"{ROOT}/blocks.gguf", "llama")
    values = {}
    for kind in [*QUANTISED, *SCALES]:
        rows, columns = 2, 512 if kind in SCALES else 64
        data = rng.normal(0, 0.5, (rows, columns)).astype(np.float32)
        data[0, 0] = 0
        packed = random_blocks(kind, rows, columns, rng) if kind in SCALES else gguf.quantize(data, kind)
        floats = gguf.dequantize(packed, kind).astype("<f4").reshape(rows, columns)
        writer.add_tensor(kind.name, packed, raw_dtype=kind)
        values[kind.name] = {"shape": [rows, columns], "data": base64.b64encode(floats.tobytes()).decode()}
    close(writer)
    return values


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def permuted(weights, heads):
    """Rows of queries or keys in llama.cpp's order: the two halves of each head in turn."""
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weights.shape)


def llama_file(name, vocabulary, tied, kinds, rng, tokenizer):
    """A small Llama; `kinds` are the types of its matrices, in turn."""
    writer = gguf.GGUFWriter(f"{ROOT}/{name}.gguf", "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(vocabulary)
    tokenizer(writer)
    count = 0

    def add(tensor, *shape, heads=None):
        nonlocal count
        if len(shape) == 1:
            return writer.add_tensor(f"{tensor}.weight", rng.normal(1, 0.1, shape).astype(np.float32))
        data = rng.normal(0, 0.2, shape).astype(np.float32)
        kind = kinds[count % len(kinds)]
        count += 1
        packed = gguf.quantize(data if heads is None else permuted(data, heads), kind)
        writer.add_tensor(f"{tensor}.weight", packed, raw_dtype=kind)

    add("token_embd", vocabulary, WIDTH)
    for i in range(LAYERS):
        keys = WIDTH * KEY_HEADS // HEADS
        add(f"blk.{i}.attn_norm", WIDTH)
        add(f"blk.{i}.ffn_down", WIDTH, INNER)
        add(f"blk.{i}.ffn_gate", INNER, WIDTH)
        add(f"blk.{i}.ffn_up", INNER, WIDTH)
        add(f"blk.{i}.ffn_norm", WIDTH)
        add(f"blk.{i}.attn_k", keys, WIDTH, heads=KEY_HEADS)
        add(f"blk.{i}.attn_output", WIDTH, WIDTH)
        add(f"blk.{i}.attn_q", WIDTH, WIDTH, heads=HEADS)
        add(f"blk.{i}.attn_v", keys, WIDTH)
    add("output_norm", WIDTH)
    if not tied:
        add("output", vocabulary, WIDTH)
    close(writer)


SPECIALS = ["<|end|>", "<|start|>", "<think>"]
KINDS = [gguf.TokenType.CONTROL, gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED]
TEMPLATE = "{% for m in messages %}<|start|>{{ m['content'] }}<|end|>{% endfor %}"


def byte_pairs(size=600):
    """Byte-level pairs learnt across words and digits, so that it matters how a text is cut."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*goldens.CORPUS, *TEXTS, *TEXTS], trainer)
    state = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].get)
    return tokens, [" ".join(pair) for pair in state["merges"]]


def add_byte_pairs(tokens, merges):
    def add(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("llama-bpe")
        writer.add_token_list(tokens)
        writer.add_token_types([*KINDS, *[gguf.TokenType.NORMAL] * (len(tokens) - len(KINDS))])
        writer.add_token_merges(merges)
        writer.add_eos_token_id(0)
        writer.add_bos_token_id(1)
        writer.add_add_bos_token(False)
        writer.add_chat_template(TEMPLATE)

    return add


def scored_pieces():
    """SentencePiece's kind: byte pairs, scored by the order in which they were learnt."""
    fixed = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=420, limit_alphabet=50, special_tokens=fixed, show_progress=False)
    tokenizer.train_from_iterator(goldens.CORPUS, trainer)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.get)


def add_scored_pieces(tokens):
    kind = gguf.TokenType
    kinds = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL, *[kind.BYTE] * 256]

    def add(writer):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(tokens)
        writer.add_token_scores([0.0 if i < len(kinds) else float(len(kinds) - i) for i in range(len(tokens))])
        writer.add_token_types([*kinds, *[kind.NORMAL] * (len(tokens) - len(kinds))])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_unk_token_id(0)

    return add


def golden(name):
    """What transformers makes of a file."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT, gguf_file=f"{name}.gguf")
    model = AutoModelForCausalLM.from_pretrained(ROOT, gguf_file=f"{name}.gguf", dtype=torch.float32).eval()
    texts = [{"text": text, "ids": tokenizer(text)["input_ids"]} for text in TEXTS]
    for text in texts:
        text["decoded"] = tokenizer.decode(text["ids"], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    ids = texts[0]["ids"][:8]
    with torch.no_grad():
        logits = [[round(x, 5) for x in row] for row in model(torch.tensor([ids])).logits[0].tolist()]
    return {"texts": texts, "ids": ids, "logits": logits}


def cuts(tokens, merges):
    """Ids of the texts under each name of a cut: Hugging Face's tokenizers with the steps of such a model's tokenizer.json."""
    found = {}
    for name, steps in PRE.items():
        tokenizer = Tokenizer(models.BPE(dict(zip(tokens, range(len(tokens)))), [tuple(m.split(" ")) for m in merges]))
        plain = steps is None or steps is digits
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=plain)
        tokenizer.pre_tokenizer = level if steps is None else pre_tokenizers.Sequence([steps(), level])
        if name == "qwen2":
            tokenizer.normalizer = normalizers.NFC()
        found[name] = [tokenizer.encode(text).ids for text in TEXTS[:3]]
    return found


SMALL = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 48}
SMALL |= {"num_key_value_heads": 2, "max_position_embeddings": 64}
HALF = {"rope_theta": 10000.0, "rope_type": "default", "partial_rotary_factor": 0.5}
# Other architectures than Llama's: the fields of their config.json. Names of tensors are the package's own.
FAMILIES = {
    "qwen2": {**SMALL, "tie_word_embeddings": True},
    "qwen3": {**SMALL, "head_dim": 16},
    "gemma": {**SMALL, "head_dim": 16},
    "phi3": {**SMALL, "rope_parameters": HALF},
    "gpt2": {"n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64},
    "starcoder2": SMALL,
}
# What llama.cpp's converter stores otherwise: GPT-2's layers as [outputs, inputs], Gemma's gains with the one that is added.
TRANSPOSED = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def family_file(name, tokens, merges):
    """A small model with random weights of 16 bits, as a file and as PyTorch computes it."""
    config = AutoConfig.for_model(name, **{**FAMILIES[name], "vocab_size": len(tokens), "pad_token_id": 0})
    torch.manual_seed(len(name))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for values in model.parameters():
            values.add_(torch.randn_like(values) * 0.1) if values.dim() == 1 else values.normal_(0, 0.15)
            values.copy_(values.half().float())
    writer = gguf.GGUFWriter(f"{ROOT}/family-{name}.gguf", name)
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(128 if name == "gpt2" else 48)
    writer.add_head_count(4)
    if name in ("gpt2", "starcoder2"):
        writer.add_layer_norm_eps(1e-5)
    else:
        writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    if name != "gpt2":
        writer.add_head_count_kv(2)
        writer.add_rope_freq_base(10000.0)
    if name in ("qwen3", "gemma"):
        writer.add_key_length(16)
        writer.add_value_length(16)
    if name == "phi3":
        writer.add_rope_dimension_count(4)
        writer.add_sliding_window(0)
    add_byte_pairs(tokens, merges)(writer)
    arch = {text: arch for arch, text in gguf.MODEL_ARCH_NAMES.items()}[name]
    names = gguf.get_tensor_name_map(arch, 2)
    tied = config.tie_word_embeddings
    for theirs, values in model.state_dict().items():
        if theirs == "lm_head.weight" and tied:
            continue
        data = values.numpy()
        if name == "gpt2" and theirs.endswith(TRANSPOSED):
            data = np.ascontiguousarray(data.T)
        if name == "gemma" and theirs.endswith("norm.weight"):
            data = data + np.float32(1)
        matrix = data.ndim == 2
        packed = gguf.quantize(data, Q.F16) if matrix else data
        stored = names.get_name(theirs, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(stored, packed, raw_dtype=Q.F16 if matrix else Q.F32)
    close(writer)
    ids = [7, 260, 31, 90, 150, 12, 201, 55, 3]
    with torch.no_grad():
        logits = [[round(x, 5) for x in row] for row in model(torch.tensor([ids])).logits[0].tolist()]
    return {"ids": ids, "logits": logits}


def families():
    tokens, merges = byte_pairs(300)
    found = {name: family_file(name, tokens, merges) for name in FAMILIES}
    with open(f"{ROOT}/families.json", "w", encoding="utf-8") as file:
        json.dump(found, file, separators=(",", ":"))


def main():
    if sys.argv[1:] == ["families"]:
        return families()
    shutil.rmtree(ROOT, ignore_errors=True)
    os.makedirs(ROOT)
    rng = np.random.default_rng(7)
    tokens, merges = byte_pairs()
    pieces = scored_pieces()
    result = {"blocks": blocks(rng), "cuts": cuts(tokens, merges), "template": TEMPLATE}
    llama_file("pairs", len(tokens), True, [Q.Q8_0, Q.F16, Q.Q4_1, Q.BF16], rng, add_byte_pairs(tokens, merges))
    llama_file("pieces", len(pieces), False, [Q.Q4_0, Q.F32, Q.Q5_1], rng, add_scored_pieces(pieces))
    result["models"] = {name: golden(name) for name in ("pairs", "pieces")}
    with open(f"{ROOT}/golden.json", "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, allow_nan=False)
    families()
    for file in sorted(os.listdir(ROOT)):
        print(file, os.path.getsize(f"{ROOT}/{file}"))


if __name__ == "__main__":
    main()

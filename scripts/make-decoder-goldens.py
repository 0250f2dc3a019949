"""Makes the small decoders under test/models/fixtures and what PyTorch computes with them (golden.json).

Needs torch and transformers 5; run from the repository's root: python scripts/make-decoder-goldens.py
The weights are random, the tokenizers are trained on the sentences of make-goldens.py. Logits are of the stored (rounded)
weights in 64-bit floats.
"""

import json
import os
import shutil
from importlib.machinery import SourceFileLoader

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, OPTConfig, OPTForCausalLM

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()
ROOT = goldens.ROOT
TEXTS = [
    "It was a wonderful evening",
    "The film",
    " is slow,\n\n but  its ending isn't",
    "Zwölf Boxkämpfer 東京 👍🏽 $12.50",
    "the captain told us: we'll see\t.",
]
CASES = [0, 3]
TURNS = 8


def byte_level(folder, specials):
    """GPT-2's own two files. The `specials` come first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    size = len(alphabet) + len(specials) + 40
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=specials, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(goldens.CORPUS, trainer)
    tokenizer.model.save(folder)
    return tokenizer


def sentence_pieces(folder, metaspace):
    """Llama's tokenizer.json: the space before a text by a normalizer, or as newer files have it, by a pre-tokenizer."""
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    trained = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=360, limit_alphabet=50, special_tokens=["<unk>", "<s>", "</s>", *pieces], show_progress=False
    )
    trained.train_from_iterator(goldens.CORPUS, trainer)
    state = json.loads(trained.to_str())
    state["added_tokens"] = state["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(f"{folder}/tokenizer.json", pretty=False)
    return tokenizer


def perturb(model):
    """Norms and biases away from 1 and 0, or a mistake in them would not show."""
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "norm" in key or ".ln_" in key or key.endswith("bias"):
                value.add_(torch.randn_like(value) * 0.1)


def continuation(model, ids):
    """Greedy, each time over the whole text; no choice may hang on rounding."""
    ids = list(ids)
    for _ in range(TURNS):
        top = model(torch.tensor([ids])).logits[0, -1].topk(2)
        assert top.values[0] - top.values[1] > 0.002, top
        ids.append(top.indices[0].item())
    return ids[-TURNS:]


def golden(name, model, encode, decode, dtype):
    """Saves a checkpoint, loads it again and writes down what it computes."""
    folder = f"{ROOT}/{name}"
    perturb(model)
    model.to(dtype).save_pretrained(folder)
    loaded = type(model).from_pretrained(folder, dtype=dtype, attn_implementation="eager").double().eval()
    texts = [{"text": text, "ids": encode(text), "decoded": decode(encode(text))} for text in TEXTS]
    cases = []
    with torch.no_grad():
        for i in CASES:
            ids = texts[i]["ids"][:8]
            logits = [[round(x, 5) for x in row] for row in loaded(torch.tensor([ids])).logits[0].tolist()]
            cases.append({"ids": ids, "logits": logits, "next": continuation(loaded, ids)})
    with open(f"{folder}/golden.json", "w", encoding="utf-8") as file:
        lines = [",\n".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in part) for part in (texts, cases)]
        file.write(f'{{"texts": [\n{lines[0]}\n],\n"cases": [\n{lines[1]}\n]}}\n')
    for extra in ("generation_config.json",):
        if os.path.exists(f"{folder}/{extra}"):
            os.remove(f"{folder}/{extra}")
    size = sum(os.path.getsize(f"{folder}/{file}") for file in os.listdir(folder))
    print(name, sorted(os.listdir(folder)), size)


def settings(folder, **fields):
    with open(f"{folder}/tokenizer_config.json", "w", encoding="utf-8") as file:
        json.dump(fields, file, indent=2)


def gpt2(name):
    tokenizer = byte_level(f"{ROOT}/{name}", ["<|endoftext|>"])
    vocabulary = tokenizer.get_vocab_size()
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=64, n_embd=32, n_layer=2, n_head=4, n_inner=48, initializer_range=0.2,
        bos_token_id=0, eos_token_id=0,
    )
    golden(name, GPT2LMHeadModel(config), lambda text: tokenizer.encode(text).ids, tokenizer.decode, torch.float16)


def opt(name, before, activation, dtype):
    tokenizer = byte_level(f"{ROOT}/{name}", ["<s>", "<pad>", "</s>", "<unk>"])
    settings(f"{ROOT}/{name}", add_bos_token=True, bos_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="</s>")
    config = OPTConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, ffn_dim=48, num_attention_heads=4,
        max_position_embeddings=64, do_layer_norm_before=before, activation_function=activation, init_std=0.2,
        word_embed_proj_dim=32,
    )
    encode = lambda text: [2, *tokenizer.encode(text).ids]
    golden(name, OPTForCausalLM(config), encode, tokenizer.decode, dtype)


def llama(name, tied, theta, metaspace, dtype):
    tokenizer = sentence_pieces(f"{ROOT}/{name}", metaspace)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, intermediate_size=40,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": theta}, tie_word_embeddings=tied, initializer_range=0.2,
    )
    golden(name, LlamaForCausalLM(config), lambda text: tokenizer.encode(text).ids, tokenizer.decode, dtype)


def main():
    torch.manual_seed(2)
    for name in ("gpt2", "opt", "opt-postnorm", "llama", "llama-tied"):
        shutil.rmtree(f"{ROOT}/{name}", ignore_errors=True)
        os.makedirs(f"{ROOT}/{name}")
    gpt2("gpt2")
    opt("opt", True, "relu", torch.float16)
    opt("opt-postnorm", False, "gelu", torch.bfloat16)
    llama("llama", False, 500.0, False, torch.bfloat16)
    llama("llama-tied", True, 10_000.0, True, torch.float16)


if __name__ == "__main__":
    main()

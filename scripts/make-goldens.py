"""Makes the small checkpoints under test/models/fixtures and what PyTorch computes with them (golden.json).

Needs torch and transformers 5; run from the repository's root: python scripts/make-goldens.py
The weights are random, the tokenizers are trained on the sentences below. Logits are of the stored (rounded) weights in
64-bit floats; the approximations are written here independently of src/approximations.
"""

import json
import math
import os
import shutil

import torch
from tokenizers import ByteLevelBPETokenizer, BertWordPieceTokenizer
from transformers import (
    AttentionInterface,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaTokenizer,
)

ROOT = "test/models/fixtures"
CORPUS = [
    "The quick brown fox jumps over the lazy dog while seven ships sail slowly past the harbour wall.",
    "A letter that only two people can read is a secret; a letter that nobody can read is noise.",
    "She wrote the numbers on paper, folded the paper twice, and gave one half to each of her friends.",
    "Neither of them could tell what the other was holding, yet together they found the answer.",
    "It was a wonderful evening: the music was good, the food was better, and the company was best.",
    "It was a terrible evening! The music was bad, the food was worse; we left before the end.",
    "The film is slow, but its ending is surprising and its actors are excellent.",
    "Prices rose by 12.5% in 1998, fell again in 2003, and haven't moved much since then.",
    "Is this sentence a question, or isn't it? I don't know; they've never told us, we'll see.",
    "Every river runs to the sea, and the sea is never full, said the captain to the passengers.",
] * 3
TEXTS = [
    ("It was a wonderful evening.", None),
    ("The film is slow, but its ending is surprising!", None),
    ("Zwölf Boxkämpfer jagen Éva über den Sylter Deich; 東京 costs $12.50 (isn't it?)", None),
    ("x", None),
    ("ΣΟΦΟΣ 𠀀𠀁 漢字 é e\u0301 \u200b👍🏽 ½ ﬁ", None),
    ("  tabs\tand\nnew   lines \u00a0 stay [SEP] or <mask> not ", None),
    ("A letter that nobody can read", "is noise, said the captain."),
    ("Prices rose.", "The music was bad, the food was worse; we left before the end of the evening, didn't we?"),
]


class Quad(torch.nn.Module):
    def forward(self, x):
        return 0.125 * x**2 + 0.25 * x + 0.5


def attention_with(weights_of):
    """An attention function for transformers: single unpadded texts, so there is no mask to honour."""

    def forward(module, query, key, value, mask, scaling=None, dropout=0.0, **_):
        scores = query @ key.transpose(2, 3) / math.sqrt(query.size(-1))
        weights = weights_of(scores)
        total = weights.sum(-1, keepdim=True)
        weights = weights / torch.where(total == 0, 1.0, total)  # a row of weights 0 has mean 0
        return (weights @ value).transpose(1, 2).contiguous(), weights

    return forward


AttentionInterface.register("2quad", attention_with(lambda x: (x + 5) ** 2))
AttentionInterface.register("2relu", attention_with(lambda x: torch.relu(x) + 0.01))
VARIANTS = [("exact", "exact"), ("quad", "2quad:5"), ("relu", "2relu:0.01"), ("exact", "2quad:5"), ("quad", "exact")]


def run(model, encoded, gelu, softmax):
    model.set_attn_implementation("eager" if softmax == "exact" else softmax.split(":")[0])
    activation = {"exact": torch.nn.GELU(), "quad": Quad(), "relu": torch.nn.ReLU()}[gelu]
    for layer in model.base_model.encoder.layer:
        layer.intermediate.intermediate_act_fn = activation
    with torch.no_grad():
        return model(**encoded).logits[0].tolist()


def bert_tokenizer(folder, lowercase):
    trainer = BertWordPieceTokenizer(lowercase=lowercase)
    trainer.train_from_iterator(CORPUS, vocab_size=340, min_frequency=2, show_progress=False)
    vocab = {token: i for i, (token, _) in enumerate(sorted(trainer.get_vocab().items(), key=lambda item: item[1]))}
    tokenizer = BertTokenizer(vocab=vocab, do_lower_case=lowercase)
    tokenizer.save_pretrained(folder)
    with open(f"{folder}/vocab.txt", "w", encoding="utf-8") as file:
        file.writelines(token + "\n" for token in vocab)
    return tokenizer


def roberta_tokenizer(folder):
    trainer = ByteLevelBPETokenizer()
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer.train_from_iterator(CORPUS, vocab_size=420, min_frequency=2, show_progress=False, special_tokens=specials)
    trainer.save_model(folder)
    tokenizer = RobertaTokenizer(vocab=f"{folder}/vocab.json", merges=f"{folder}/merges.txt")
    tokenizer.save_pretrained(folder)
    return tokenizer


def shape(tokenizer, **more):
    return dict(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        initializer_range=0.2, **more,
    )


def golden(name, model, tokenizer, dtype, keep):
    """Saves a checkpoint, loads it again and writes down what it computes. `keep`: the tokenizer files that stay."""
    folder = f"{ROOT}/{name}"
    with torch.no_grad():  # norms and biases away from 1 and 0, or a mistake in them would not show
        for key, value in model.named_parameters():
            if "LayerNorm" in key or key.endswith("bias"):
                value.add_(torch.randn_like(value) * 0.1)
    model.to(dtype).save_pretrained(folder)
    loaded = type(model).from_pretrained(folder, dtype=dtype).double().eval()
    cases = []
    for text, pair in TEXTS:
        encoded = tokenizer(text, pair, return_tensors="pt", return_token_type_ids=True)
        logits = {f"{gelu}+{softmax}": run(loaded, encoded, gelu, softmax) for gelu, softmax in VARIANTS}
        ids, types = encoded["input_ids"][0].tolist(), encoded["token_type_ids"][0].tolist()
        cases.append({"text": text, "pair": pair, "ids": ids, "types": types, "logits": logits})
    long = (" ".join(CORPUS[:3]), " ".join(CORPUS[3:4]))
    cut = tokenizer(*long, truncation=True, max_length=48)["input_ids"]
    truncated = {"text": long[0], "pair": long[1], "length": 48, "ids": cut}
    with open(f"{folder}/golden.json", "w", encoding="utf-8") as file:
        lines = ",\n".join(json.dumps(case, ensure_ascii=False, allow_nan=False) for case in cases)
        file.write(f'{{"cases": [\n{lines}\n],\n"truncated": {json.dumps(truncated)}}}\n')
    for file in os.listdir(folder):
        known = file in ("config.json", "model.safetensors", "golden.json")
        if not known and file not in keep:
            os.remove(f"{folder}/{file}")


def main():
    torch.manual_seed(1)
    for name in ("bert-topics", "bert-score", "bert-cased", "roberta-mood"):
        shutil.rmtree(f"{ROOT}/{name}", ignore_errors=True)
        os.makedirs(f"{ROOT}/{name}")

    tokenizer = bert_tokenizer(f"{ROOT}/bert-topics", True)
    labels = {0: "news", 1: "film", 2: "sea"}
    config = BertConfig(**shape(tokenizer, max_position_embeddings=96, id2label=labels, label2id={v: k for k, v in labels.items()}))
    golden("bert-topics", BertForSequenceClassification(config), tokenizer, torch.float32, ["tokenizer.json", "tokenizer_config.json"])

    tokenizer = bert_tokenizer(f"{ROOT}/bert-score", True)
    config = BertConfig(**shape(tokenizer, max_position_embeddings=96, num_labels=1, hidden_act="gelu_new"))
    golden("bert-score", BertForSequenceClassification(config), tokenizer, torch.float16, ["vocab.txt"])

    tokenizer = bert_tokenizer(f"{ROOT}/bert-cased", False)
    config = BertConfig(**shape(tokenizer, max_position_embeddings=96, num_labels=2))
    golden("bert-cased", BertForSequenceClassification(config), tokenizer, torch.bfloat16, ["vocab.txt", "tokenizer_config.json"])

    tokenizer = roberta_tokenizer(f"{ROOT}/roberta-mood")
    config = RobertaConfig(**shape(tokenizer, max_position_embeddings=130, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2))
    keep = ["tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"]
    golden("roberta-mood", RobertaForSequenceClassification(config), tokenizer, torch.float32, keep)


if __name__ == "__main__":
    main()

"""Trains the sentiment model that ships with the package, until `mpcformer distill` replaces this script.

Three stages, each resumable (a finished stage's files are not made again):
  teacher   MiniLM-L6 (Apache-2.0) with a classification head, fine-tuned on SST-2.
  label     the teacher's logits for SST-2 and for sentences cut from unlabelled IMDb reviews.
  student   a small BERT with Quad and 2Quad, word embeddings started from the teacher's by PCA, trained on SST-2's labels
            and the teacher's logits.

  python train_demo.py --minilm DIR --sst2 DIR --imdb FILE --out DIR [--stage all] [--epochs 3]
"""

import argparse
import collections
import json
import math
import os
import random
import re
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertTokenizerFast

SEED = 7
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CONFIG = dict(layers=3, hidden=128, heads=4, intermediate=512, positions=128)


def read_tsv(path):
    with open(path, encoding="utf8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f][1:]
    return [r[0].strip() for r in rows], [int(r[1]) for r in rows]


def imdb_sentences(path, count):
    rng = random.Random(SEED)
    sentences = []
    with open(path, encoding="utf8") as f:
        for line in f:
            text = re.sub(r"<[^>]*>", " ", line)
            for s in re.split(r"(?<=[.!?])\s+", text):
                if 4 <= len(s.split()) <= 36:
                    sentences.append(s.strip().lower())
    rng.shuffle(sentences)
    return sentences[:count]


def batches(lengths, size, rng):
    """Indices in batches of similar length, in random order."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i] + rng.random())
    chunks = [order[i : i + size] for i in range(0, len(order), size)]
    rng.shuffle(chunks)
    return chunks


def pad(rows, value=0):
    n = max(len(r) for r in rows)
    ids = torch.full((len(rows), n), value, dtype=torch.long)
    mask = torch.zeros(len(rows), n)
    for i, r in enumerate(rows):
        ids[i, : len(r)] = torch.tensor(r)
        mask[i, : len(r)] = 1
    return ids, mask


def schedule(step, total, warm=0.06):
    return min(step / (warm * total + 1e-9), max(0.0, (total - step) / (total * (1 - warm))))


def train_teacher(args):
    out = os.path.join(args.out, "teacher")
    if os.path.exists(os.path.join(out, "config.json")):
        return
    texts, labels = read_tsv(os.path.join(args.sst2, "train.tsv"))
    dev_texts, dev_labels = read_tsv(os.path.join(args.sst2, "dev.tsv"))
    tokenizer = AutoTokenizer.from_pretrained(args.minilm)
    model = AutoModelForSequenceClassification.from_pretrained(args.minilm, num_labels=2)
    rows = tokenizer(texts, truncation=True, max_length=64)["input_ids"]
    rng = random.Random(SEED)
    chunks = batches([len(r) for r in rows], 32, rng)[: args.teacher_steps]
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-5, weight_decay=0.01)
    started = time.time()
    for step, chunk in enumerate(chunks):
        model.train()
        ids, mask = pad([rows[i] for i in chunk])
        logits = model(input_ids=ids, attention_mask=mask).logits
        loss = F.cross_entropy(logits, torch.tensor([labels[i] for i in chunk]))
        for group in optimizer.param_groups:
            group["lr"] = 6e-5 * schedule(step, len(chunks))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            print(f"teacher {step}/{len(chunks)} loss {loss.item():.3f} {time.time() - started:.0f} s", flush=True)
    logits = label_all(model, tokenizer, dev_texts)
    accuracy = (logits.argmax(1) == np.array(dev_labels)).mean()
    print(f"teacher dev accuracy {accuracy:.4f}", flush=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    with open(os.path.join(out, "metrics.json"), "w") as f:
        json.dump({"sst2_dev_accuracy": accuracy}, f)


@torch.no_grad()
def label_all(model, tokenizer, texts):
    model.eval()
    rows = tokenizer(texts, truncation=True, max_length=64)["input_ids"]
    logits = np.zeros((len(texts), 2), dtype=np.float32)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for start in range(0, len(order), 128):
        chunk = order[start : start + 128]
        ids, mask = pad([rows[i] for i in chunk])
        logits[chunk] = model(input_ids=ids, attention_mask=mask).logits.numpy()
        if start % 12800 == 0:
            print(f"label {start}/{len(order)}", flush=True)
    return logits


def label(args):
    path = os.path.join(args.out, "labels.npz")
    if os.path.exists(path):
        return
    teacher = os.path.join(args.out, "teacher")
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    model = AutoModelForSequenceClassification.from_pretrained(teacher)
    texts, _ = read_tsv(os.path.join(args.sst2, "train.tsv"))
    sst = label_all(model, tokenizer, texts)
    imdb = label_all(model, tokenizer, imdb_sentences(args.imdb, args.unlabelled))
    np.savez(path, sst=sst, imdb=imdb)


class Student(nn.Module):
    """Post-layer-norm BERT with Quad and 2Quad; tensors are saved under Hugging Face's names."""

    def __init__(self, vocabulary):
        super().__init__()
        d, f = CONFIG["hidden"], CONFIG["intermediate"]
        self.word = nn.Embedding(vocabulary, d)
        self.position = nn.Embedding(CONFIG["positions"], d)
        self.segment = nn.Embedding(2, d)
        self.norm = nn.LayerNorm(d, eps=1e-12)
        self.layers = nn.ModuleList()
        for _ in range(CONFIG["layers"]):
            names = dict(q=(d, d), k=(d, d), v=(d, d), o=(d, d), up=(d, f), down=(f, d))
            layer = nn.ModuleDict({n: nn.Linear(*shape) for n, shape in names.items()})
            layer["n1"] = nn.LayerNorm(d, eps=1e-12)
            layer["n2"] = nn.LayerNorm(d, eps=1e-12)
            self.layers.append(layer)
        self.pooler = nn.Linear(d, d)
        self.classifier = nn.Linear(d, 2)
        self.dropout = nn.Dropout(0.1)
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, std=0.04)
            if isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    def forward(self, ids, mask):
        n, d, h = ids.shape[1], CONFIG["hidden"], CONFIG["heads"]
        penalty = ids.new_zeros((), dtype=torch.float32)
        x = self.word(ids) + self.position(torch.arange(n)) + self.segment(torch.zeros_like(ids))
        x = self.dropout(self.norm(x))
        own = mask.bool()

        def over(value, limit, where):
            return (F.relu(value.abs() - limit) ** 2 * where).sum() / where.sum()

        def spread(value):  # the variance before a norm stays between 0.5 and 4
            log = torch.log2(value.var(-1, unbiased=False) + 1e-6)[own]
            return (F.relu(log - 2) ** 2 + F.relu(-1 - log) ** 2).mean()

        for layer in self.layers:
            q, k, v = (layer[w](x).view(*x.shape[:2], h, d // h).transpose(1, 2) for w in "qkv")
            s = q @ k.transpose(2, 3) / math.sqrt(d // h)
            keys = mask[:, None, None, :]
            penalty = penalty + over(s, 6.0, (keys * mask[:, None, :, None]).expand_as(s))
            e = (s + 5) ** 2 * keys
            mean = e.sum(-1) / mask.sum(-1)[:, None, None]
            log = torch.log2(mean + 1e-3).transpose(1, 2)[own]
            penalty = penalty + (F.relu(log - 6) ** 2 + F.relu(3.5 - log) ** 2).mean()
            a = ((e / (e.sum(-1, keepdim=True) + 1e-6)) @ v).transpose(1, 2).reshape(x.shape)
            z = x + self.dropout(layer["o"](a))
            penalty = penalty + spread(z)
            x = layer["n1"](z)
            u = layer["up"](x)
            penalty = penalty + over(u, 6.0, mask[:, :, None].expand_as(u))
            z = x + self.dropout(layer["down"](0.125 * u * u + 0.25 * u + 0.5))
            penalty = penalty + spread(z)
            x = layer["n2"](z)
        return self.classifier(self.dropout(torch.tanh(self.pooler(x[:, 0])))), penalty


def hf_names(layers):
    names = {
        "word": "bert.embeddings.word_embeddings", "position": "bert.embeddings.position_embeddings",
        "segment": "bert.embeddings.token_type_embeddings", "norm": "bert.embeddings.LayerNorm",
        "pooler": "bert.pooler.dense", "classifier": "classifier",
    }
    inner = {
        "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
        "o": "attention.output.dense", "n1": "attention.output.LayerNorm", "up": "intermediate.dense",
        "down": "output.dense", "n2": "output.LayerNorm",
    }
    for i in range(layers):
        for ours, theirs in inner.items():
            names[f"layers.{i}.{ours}"] = f"bert.encoder.layer.{i}.{theirs}"
    return names


def choose_vocabulary(tokenizer, texts, size):
    counts = collections.Counter()
    for start in range(0, len(texts), 10000):
        for row in tokenizer(texts[start : start + 10000], add_special_tokens=False)["input_ids"]:
            counts.update(row)
    pieces = tokenizer.convert_ids_to_tokens(range(tokenizer.vocab_size))
    ascii_one = re.compile(r"^(##)?[\x21-\x7e]$")
    kept = [p for p in pieces if ascii_one.match(p)]
    known = set(kept) | set(SPECIAL)
    for i, _ in counts.most_common():
        if len(kept) + len(SPECIAL) >= size:
            break
        if pieces[i] not in known:
            kept.append(pieces[i])
            known.add(pieces[i])
    return SPECIAL + kept


def save_student(model, vocabulary, out, metrics):
    os.makedirs(out, exist_ok=True)
    names = hf_names(CONFIG["layers"])
    tensors = {}
    for key, value in model.state_dict().items():
        stem, leaf = key.rsplit(".", 1)
        tensors[f"{names[stem]}.{leaf}"] = value.half().contiguous()
    save_file(tensors, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    config = {
        "architectures": ["BertForSequenceClassification"], "model_type": "bert", "vocab_size": len(vocabulary),
        "hidden_size": CONFIG["hidden"], "num_hidden_layers": CONFIG["layers"], "num_attention_heads": CONFIG["heads"],
        "intermediate_size": CONFIG["intermediate"], "max_position_embeddings": CONFIG["positions"],
        "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "position_embedding_type": "absolute",
        "pad_token_id": 0, "id2label": {"0": "negative", "1": "positive"}, "label2id": {"negative": 0, "positive": 1},
        "mpcformer": {"gelu": "quad", "softmax": "2quad", "embedding": "private"},
    }
    for name, content in [("config.json", config), ("metrics.json", metrics)]:
        with open(os.path.join(out, name), "w") as f:
            json.dump(content, f, indent=2)
            f.write("\n")
    with open(os.path.join(out, "vocab.txt"), "w", encoding="utf8") as f:
        f.write("\n".join(vocabulary) + "\n")
    with open(os.path.join(out, "tokenizer_config.json"), "w") as f:
        json.dump({"do_lower_case": True, "tokenizer_class": "BertTokenizer", "model_max_length": CONFIG["positions"]}, f)


@torch.no_grad()
def evaluate(model, rows, labels):
    model.eval()
    right = 0
    for start in range(0, len(rows), 64):
        ids, mask = pad(rows[start : start + 64])
        right += (model(ids, mask)[0].argmax(1) == torch.tensor(labels[start : start + 64])).sum().item()
    return right / len(rows)


def train_student(args):
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    texts, labels = read_tsv(os.path.join(args.sst2, "train.tsv"))
    dev_texts, dev_labels = read_tsv(os.path.join(args.sst2, "dev.tsv"))
    extra = imdb_sentences(args.imdb, args.unlabelled)
    full = AutoTokenizer.from_pretrained(args.minilm)
    vocabulary = choose_vocabulary(full, texts + extra, args.vocabulary)
    tokenizer = BertTokenizerFast(vocab={p: i for i, p in enumerate(vocabulary)}, do_lower_case=True)
    encode = lambda t: tokenizer(t, truncation=True, max_length=64)["input_ids"]
    rows, dev_rows = encode(texts + extra), encode(dev_texts)
    labelled = os.path.join(args.out, "labels.npz")
    soft = np.load(labelled) if os.path.exists(labelled) else None
    if soft is None:
        rows = rows[: len(texts)]
    targets = None if soft is None else torch.softmax(torch.tensor(np.concatenate([soft["sst"], soft["imdb"]])), -1)

    model = Student(len(vocabulary))
    source = AutoModelForSequenceClassification.from_pretrained(args.minilm, num_labels=2)
    table = source.get_input_embeddings().weight.detach()[full.convert_tokens_to_ids(vocabulary)]
    centred = table - table.mean(0)
    _, _, basis = torch.linalg.svd(centred, full_matrices=False)
    projected = centred @ basis[: CONFIG["hidden"]].T
    model.word.weight.data.copy_(projected / projected.std() * 0.6)
    del source

    optimizer = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=0.02)
    lengths = [len(r) for r in rows]
    plan = [c for _ in range(args.epochs) for c in batches(lengths, 64, rng)]
    state_path, start, best = os.path.join(args.out, "student.pt"), 0, 0.0
    if os.path.exists(state_path) and soft is not None:
        state = torch.load(state_path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        start, best = state["step"], state["best"]
    started = time.time()
    for step in range(start, len(plan)):
        model.train()
        chunk = plan[step]
        ids, mask = pad([rows[i] for i in chunk])
        logits, penalty = model(ids, mask)
        hard = [i for i in range(len(chunk)) if chunk[i] < len(texts)]
        loss = 0.02 * penalty
        if targets is not None:
            loss = loss - (targets[chunk] * F.log_softmax(logits, -1)).sum(-1).mean()
        if hard:
            weight = 0.3 if targets is not None else 1.0
            loss = loss + weight * F.cross_entropy(logits[hard], torch.tensor([labels[chunk[i]] for i in hard]))
        for group in optimizer.param_groups:
            group["lr"] = args.rate * schedule(step, len(plan))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            print(f"student {step}/{len(plan)} loss {loss.item():.3f} penalty {penalty.item():.3f} {time.time() - started:.0f} s", flush=True)
        if (step + 1) % 500 == 0 or step + 1 == len(plan):
            accuracy = evaluate(model, dev_rows, dev_labels)
            print(f"student {step + 1} dev accuracy {accuracy:.4f}", flush=True)
            if accuracy >= best:
                best = accuracy
                save_student(model, vocabulary, os.path.join(args.out, "model"), {"sst2_dev_accuracy": accuracy, "step": step + 1})
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1, "best": best}, state_path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minilm", required=True, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--sst2", required=True, help="folder with train.tsv and dev.tsv (sentence, label)")
    parser.add_argument("--imdb", required=True, help="unlabelled reviews, one a line")
    parser.add_argument("--out", required=True)
    parser.add_argument("--stage", default="all", choices=["all", "teacher", "label", "student"])
    parser.add_argument("--teacher-steps", type=int, default=2104)
    parser.add_argument("--unlabelled", type=int, default=80_000)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(SEED)
    os.makedirs(args.out, exist_ok=True)
    stages = {"teacher": train_teacher, "label": label, "student": train_student}
    for name in stages if args.stage == "all" else [args.stage]:
        stages[name](args)


if __name__ == "__main__":
    main()

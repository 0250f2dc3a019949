"""Makes small models with other heads than a text's label under test/models/fixtures/tasks, and what PyTorch computes with them.

Needs torch and transformers 5; run from the repository's root: python scripts/make-task-goldens.py
Weights are random, tokenizers are those of make-goldens.py. Logits are of the stored weights in 64-bit floats; entities, filled
masks and zero-shot labels are those of transformers' pipelines. Places in texts are counted in UTF-16 units, as JavaScript does.
"""

import json
import os
import shutil
from importlib.machinery import SourceFileLoader

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForTokenClassification,
    pipeline,
)

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()
ROOT = f"{goldens.ROOT}/tasks"
TEXTS = [
    "The captain wrote a letter to the passengers in 1998.",
    "  Zwölf Boxkämpfer jagen   Éva: 👍🏽 isn't it  a \U00020000 question?",
    "It was",
]
PAIRS = [
    ("What did the captain write?", "Every river runs to the sea, said the captain; he wrote 👍🏽 a letter in 1998."),
    ("Who?", "The film is slow, but its ending is surprising!"),
]
MASKED = ["The film is {}, but its ending is surprising!", "It was a {} evening"]
LABELS = ["news", "film", "sea"]
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]


def units(text, place):
    """A place counted in code points, counted in UTF-16 units."""
    return len(text[:place].encode("utf-16-le")) // 2


def rounded(values):
    return [rounded(value) for value in values] if isinstance(values, list) else round(values, 6)


def perturb(model):
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "LayerNorm" in key or key.endswith("bias"):
                value.add_(torch.randn_like(value) * 0.1)
    return model


def labels_of(names):
    return dict(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})


def bert(tokenizer, **more):
    return BertConfig(**goldens.shape(tokenizer, max_position_embeddings=96, **more))


def roberta(tokenizer, **more):
    specials = dict(type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2)
    return RobertaConfig(**goldens.shape(tokenizer, max_position_embeddings=98, **specials, **more))


def encoded(tokenizer, text, pair=None):
    return tokenizer(text, pair, return_tensors="pt", return_token_type_ids=True)


def case(tokenizer, model, text, pair=None):
    """A text's tokens, where they stand in it, and what the model's head gives."""
    own = encoded(tokenizer, text, pair)
    offsets = tokenizer(text, pair, return_offsets_mapping=True)["offset_mapping"]
    which = own.sequence_ids(0)
    texts = [text, pair]
    spans = [
        None if w is None else [w, units(texts[w], a), units(texts[w], b)] for w, (a, b) in zip(which, offsets)
    ]
    with torch.no_grad():
        output = model(**own)
    return {"text": text, "pair": pair, "ids": own["input_ids"][0].tolist(), "spans": spans}, output


def save(name, model, make_tokenizer, keep):
    folder = f"{ROOT}/{name}"
    os.makedirs(folder)
    tokenizer = make_tokenizer(folder)
    perturb(model(tokenizer)).half().save_pretrained(folder)
    for file in os.listdir(folder):
        if file not in ("config.json", "model.safetensors", *keep):
            os.remove(f"{folder}/{file}")
    return folder, tokenizer


def load(kind, folder):
    return kind.from_pretrained(folder, dtype=torch.float64).eval()


def write(folder, result):
    with open(f"{folder}/golden.json", "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, allow_nan=False)


KEEP_BERT = ["tokenizer.json", "tokenizer_config.json"]
KEEP_ROBERTA = [*KEEP_BERT, "vocab.json", "merges.txt"]
bert_tokenizer = lambda folder: goldens.bert_tokenizer(folder, True)


def entities(name, kind, config, make_tokenizer, keep):
    folder, tokenizer = save(name, lambda t: kind(config(t, **labels_of(ENTITIES))), make_tokenizer, keep)
    model = load(kind, folder)
    pipe = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple")
    cases = []
    for text in TEXTS:
        own, output = case(tokenizer, model, text)
        found = [
            {**{key: one[key] for key in ("entity_group",)}, "score": float(one["score"]),
             "start": units(text, one["start"]), "end": units(text, one["end"])}
            for one in pipe(text)
        ]
        cases.append({**own, "logits": rounded(output.logits[0].tolist()), "entities": found})
    write(folder, {"cases": cases})


def questions():
    folder, tokenizer = save("question", lambda t: BertForQuestionAnswering(bert(t)), bert_tokenizer, KEEP_BERT)
    model = load(BertForQuestionAnswering, folder)
    cases = []
    for question, context in PAIRS:
        own, output = case(tokenizer, model, question, context)
        logits = torch.stack([output.start_logits[0], output.end_logits[0]], 1)
        # As transformers' pipeline did it up to release 4: probabilities over the context and the first token.
        inside = torch.tensor([i == 0 or w == 1 for i, w in enumerate(encoded(tokenizer, question, context).sequence_ids(0))])
        begins, ends = (torch.where(inside, logits[:, i], -1e4).softmax(0) for i in (0, 1))
        best = max(
            (begins[a] * ends[b], a, b)
            for a in range(1, len(inside)) for b in range(a, min(len(inside), a + 15)) if inside[a] and inside[b]
        )
        answer = {"score": best[0].item(), "start": own["spans"][best[1]][1], "end": own["spans"][best[2]][2]}
        cases.append({**own, "logits": rounded(logits.tolist()), "answer": answer})
    write(folder, {"cases": cases})


def masks(name, kind, config, make_tokenizer, keep):
    folder, tokenizer = save(name, lambda t: kind(config(t)), make_tokenizer, keep)
    model = load(kind, folder)
    pipe = pipeline("fill-mask", model=model, tokenizer=tokenizer, top_k=3)
    cases = []
    for pattern in MASKED:
        text = pattern.format(tokenizer.mask_token)
        own, output = case(tokenizer, model, text)
        place = own["ids"].index(tokenizer.mask_token_id)
        filled = [{"score": one["score"], "token": one["token"], "sequence": one["sequence"]} for one in pipe(text)]
        cases.append({**own, "logits": rounded(output.logits[0, place].tolist()), "filled": filled})
    write(folder, {"cases": cases})


def embedding(name, pooling, normalised):
    """A folder of sentence-transformers: the model, a pooling, and maybe a norm."""
    folder, tokenizer = save(name, lambda t: BertModel(bert(t), add_pooling_layer=False), bert_tokenizer, KEEP_BERT)
    kinds = ["Transformer", "Pooling", *(["Normalize"] if normalised else [])]
    paths = ["", "1_Pooling", "2_Normalize"]
    modules = [
        {"idx": i, "name": str(i), "path": paths[i], "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    os.makedirs(f"{folder}/1_Pooling")
    modes = {mode: mode == pooling for mode in ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")}
    with open(f"{folder}/modules.json", "w") as file:
        json.dump(modules, file)
    with open(f"{folder}/1_Pooling/config.json", "w") as file:
        json.dump({"word_embedding_dimension": 32, **{f"pooling_mode_{mode}": on for mode, on in modes.items()}}, file)
    model = load(BertModel, folder)
    cases = []
    for text in TEXTS:
        own, output = case(tokenizer, model, text)
        states = output.last_hidden_state[0]
        vector = states[0] if pooling == "cls_token" else states.mean(0)
        vector = vector / vector.norm() if normalised else vector
        cases.append({**own, "vector": rounded(vector.tolist())})
    write(folder, {"cases": cases})


def several():
    """Labels that may hold together, and several values."""
    for name, problem in (("labels", "multi_label_classification"), ("values", "regression")):
        config = lambda t: bert(t, problem_type=problem, **labels_of(LABELS))
        folder, tokenizer = save(name, lambda t: BertForSequenceClassification(config(t)), bert_tokenizer, KEEP_BERT)
        model = load(BertForSequenceClassification, folder)
        cases = []
        for text in TEXTS:
            own, output = case(tokenizer, model, text)
            logits = output.logits[0]
            read = logits.sigmoid() if name == "labels" else logits
            cases.append({**own, "logits": rounded(logits.tolist()), "read": rounded(read.tolist())})
        write(folder, {"cases": cases})


def entailment():
    names = ["contradiction", "neutral", "entailment"]
    config = lambda t: bert(t, **labels_of(names))
    folder, tokenizer = save("entailment", lambda t: BertForSequenceClassification(config(t)), bert_tokenizer, KEEP_BERT)
    pipe = pipeline("zero-shot-classification", model=load(BertForSequenceClassification, folder), tokenizer=tokenizer)
    cases = []
    for text in TEXTS:
        for multi in (False, True):
            found = pipe(text, LABELS, multi_label=multi)
            cases.append({"text": text, "multi": multi, "labels": found["labels"], "scores": rounded(found["scores"])})
    write(folder, {"candidates": LABELS, "cases": cases})


def main():
    torch.manual_seed(3)
    shutil.rmtree(ROOT, ignore_errors=True)
    entities("entities", BertForTokenClassification, bert, bert_tokenizer, KEEP_BERT)
    entities("entities-roberta", RobertaForTokenClassification, roberta, goldens.roberta_tokenizer, KEEP_ROBERTA)
    questions()
    masks("masked", BertForMaskedLM, bert, bert_tokenizer, KEEP_BERT)
    masks("masked-roberta", RobertaForMaskedLM, roberta, goldens.roberta_tokenizer, KEEP_ROBERTA)
    embedding("embed-mean", "mean_tokens", True)
    embedding("embed-first", "cls_token", True)
    embedding("embed-plain", "mean_tokens", False)
    several()
    entailment()
    total = sum(os.path.getsize(f"{at}/{file}") for at, _, files in os.walk(ROOT) for file in files)
    print(sorted(os.listdir(ROOT)), total)


if __name__ == "__main__":
    main()

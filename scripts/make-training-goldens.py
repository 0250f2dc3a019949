"""What PyTorch gets when it trains the checkpoints of make-goldens.py: test/distill/fixtures/training.json.

Needs torch and transformers 5; run from the repository's root: python scripts/make-training-goldens.py
All in 64-bit floats, from the stored weights. The student has Quad and 2Quad and begins with the teacher's weights; losses,
clipping and schedule are written here from their definitions, AdamW is PyTorch's. Every step has the same padded batch.
"""

import json
import math
import os

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, AutoModelForSequenceClassification

from importlib.machinery import SourceFileLoader

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()
OUT = "test/distill/fixtures/training.json"
STEPS, RATE, DECAY, CLIP = 5, 2e-3, 0.1, 1.0
SEEN = []


def attention(weights_of):
    """Keeps the scores it sees; `weights_of(scores, own)` gives unnormalised weights."""

    def forward(module, query, key, value, mask, scaling=None, dropout=0.0, **_):
        scores = query @ key.transpose(2, 3) / math.sqrt(query.size(-1))
        SEEN.append(scores)
        weights = weights_of(scores, forward.own[:, None, None, :])
        return ((weights / weights.sum(-1, keepdim=True)) @ value).transpose(1, 2).contiguous(), weights

    return forward


exact = attention(lambda s, own: torch.exp(s - s.amax(-1, keepdim=True)) * own)
quads = attention(lambda s, own: (s + 5) ** 2 * own)
AttentionInterface.register("exact-seen", exact)
AttentionInterface.register("2quad-seen", quads)


def forward(model, batch):
    """Logits, hidden states and scores."""
    SEEN.clear()
    exact.own = quads.own = batch["attention_mask"].double()
    out = model(**batch, output_hidden_states=True)
    return out.logits, out.hidden_states, list(SEEN)


def layer_losses(student, teacher, own):
    """Mean squared errors over the texts' own positions; of the last layer over the first one, which is what is served."""
    (_, mine, my_scores), (_, theirs, their_scores) = student, teacher
    hidden = scores = 0.0
    pairs = own[:, :, None] * own[:, None, :]
    for i, (x, t) in enumerate(zip(mine, theirs)):
        if i == len(mine) - 1:
            hidden = hidden + ((x - t)[:, 0] ** 2).mean()
        else:
            hidden = hidden + ((x - t) ** 2 * own[:, :, None]).sum() / (own.sum() * x.size(-1))
    for i, (x, t) in enumerate(zip(my_scores, their_scores)):
        error = (x - t) ** 2
        if i == len(my_scores) - 1:
            scores = scores + (error[:, :, 0] * own[:, None, :]).sum() / (own.sum() * x.size(1))
        else:
            scores = scores + (error * pairs[:, None]).sum() / (pairs.sum() * x.size(1))
    return {"hidden": hidden, "scores": scores}


def optimiser(model):
    plain = [p for n, p in model.named_parameters() if p.dim() == 1 or "embeddings" in n]
    decayed = [p for n, p in model.named_parameters() if p.dim() == 2 and "embeddings" not in n]
    return torch.optim.AdamW([{"params": plain, "weight_decay": 0.0}, {"params": decayed, "weight_decay": DECAY}], lr=RATE)


def train(name, losses_of):
    def load(attn):
        model = AutoModelForSequenceClassification.from_pretrained(f"{goldens.ROOT}/{name}", dtype=torch.float64).eval()
        model.set_attn_implementation(attn)
        return model

    teacher, student = load("exact-seen"), load("2quad-seen")
    for layer in student.base_model.encoder.layer:
        layer.intermediate.intermediate_act_fn = goldens.Quad()
    with open(f"{goldens.ROOT}/{name}/golden.json", encoding="utf-8") as file:
        cases = json.load(file)["cases"]
    length = max(len(case["ids"]) for case in cases)
    pad = lambda values, filler: values + [filler] * (length - len(values))
    batch = {
        "input_ids": torch.tensor([pad(case["ids"], student.config.pad_token_id) for case in cases]),
        "token_type_ids": torch.tensor([pad(case["types"], 0) for case in cases]),
        "attention_mask": torch.tensor([pad([1] * len(case["ids"]), 0) for case in cases]),
    }
    own = batch["attention_mask"].double()
    labels = torch.arange(len(cases)) % student.config.num_labels
    with torch.no_grad():
        target = forward(teacher, batch)
    adam = optimiser(student)
    steps = []
    for _ in range(STEPS):
        losses = losses_of(forward(student, batch), target, own, labels)
        adam.zero_grad()
        sum(losses.values()).backward()
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), CLIP)
        adam.step()
        steps.append({"norm": norm.item(), **{key: value.item() for key, value in losses.items()}})
    with torch.no_grad():
        logits = forward(student, batch)[0].tolist()
    return {"model": name, "steps": steps, "logits": logits}


def predictions(student, target, _own, _labels):
    if student[0].size(-1) == 1:
        return {"prediction": ((student[0] - target[0]) ** 2).mean()}
    return {"prediction": -(torch.softmax(target[0] / 2, -1) * torch.log_softmax(student[0] / 2, -1)).sum(-1).mean()}


def main():
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    runs = []
    for name in ("bert-topics", "bert-score", "roberta-mood"):
        runs.append({"losses": ["hidden", "scores"], **train(name, lambda s, t, own, _: layer_losses(s, t, own))})
        runs.append({"losses": ["prediction"], **train(name, predictions)})
    runs.append({"losses": ["labels"], **train("bert-topics", lambda s, _t, _own, y: {"labels": F.cross_entropy(s[0], y)})})
    with open(OUT, "w", encoding="utf-8") as file:
        settings = {"rate": RATE, "decay": DECAY, "clip": CLIP, "temperature": 2}
        file.write(json.dumps({"settings": settings, "runs": runs}, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()

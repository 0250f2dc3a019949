"""Makes what heads of every encoder give under test/models/fixtures/heads: labels of tokens, places of answers, vectors.

Needs torch and transformers 5; run from the repository's root: python scripts/make-head-goldens.py
The encoder is that of the family's own fixture, so that a folder here has the head's tensors alone (head.safetensors), a config.json, and
the outputs of PyTorch in 64-bit floats over the stored weights. test/models/table.test.ts asks for a folder of every head that loads.
"""

import json
import os
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
)

ROOT = "test/models/fixtures"
HEADS = f"{ROOT}/heads"
# The encoders without a folder of their own among the families.
OTHERS = {"bert": f"{ROOT}/bert-topics", "roberta": f"{ROOT}/roberta-mood"}
LABELS = ["O", "B-PER", "I-PER"]
KINDS = {"tokens": AutoModelForTokenClassification, "spans": AutoModelForQuestionAnswering, "vector": AutoModel}
# Those whose heads that fill masked words are RoBERTa's, and have no folder of their own.
MASKED = ("xlm-roberta", "camembert")
PLACE = 2


def encoders():
    """Every encoder's fixture by its family's name."""
    found = dict(OTHERS)
    for name in sorted(os.listdir(f"{ROOT}/families")):
        with open(f"{ROOT}/families/{name}/config.json") as file:
            config = json.load(file)
        # A family may have more fixtures than one.
        if config["model_type"] == name and config["architectures"][0].endswith("ForSequenceClassification"):
            found[name] = f"{ROOT}/families/{name}"
    return found


def tokens_of(folder):
    with open(f"{folder}/golden.json") as file:
        golden = json.load(file)
    case = golden if "ids" in golden else golden["cases"][0]
    return case["ids"], case.get("types") or [0] * len(case["ids"])


def inputs(model, ids, types):
    own = {"input_ids": torch.tensor([ids])}
    # Not every model has types.
    if getattr(model.config, "type_vocab_size", 0) > 1:
        own["token_type_ids"] = torch.tensor([types])
    return own


def make(family, folder, kind):
    config = AutoConfig.from_pretrained(folder)
    if kind == "tokens":
        config.id2label = dict(enumerate(LABELS))
        config.label2id = {name: i for i, name in enumerate(LABELS)}
    if kind == "spans":
        config.num_labels = 2
    more = {"add_pooling_layer": False} if kind == "vector" and family in ("bert", "roberta") else {}
    kinds = {**KINDS, "mask": AutoModelForMaskedLM}
    model = kinds[kind].from_pretrained(folder, config=config, dtype=torch.float32, ignore_mismatched_sizes=True, **more)
    # The head's tensors: what the encoder's file has not, at random and rounded as they are stored.
    head = {name: value for name, value in model.state_dict().items() if name.startswith(("classifier", "qa_outputs", "lm_head.")) and name != "lm_head.decoder.weight"}
    with torch.no_grad():
        for name, value in head.items():
            value.copy_((torch.randn_like(value) * 0.3).half().float())
    head.pop("lm_head.decoder.bias", None)
    model = model.double().eval()
    ids, types = tokens_of(folder)
    with torch.no_grad():
        output = model(**inputs(model, ids, types))
    if kind == "tokens":
        logits = output.logits[0]
    elif kind == "spans":
        logits = torch.stack([output.start_logits[0], output.end_logits[0]], 1)
    elif kind == "mask":
        logits = output.logits[0, PLACE]
    else:
        logits = output.last_hidden_state[0].mean(0)
    target = f"{HEADS}/{family}-{kind}"
    os.makedirs(target)
    config.architectures = [type(model).__name__]
    with open(f"{folder}/config.json") as file:
        base = json.load(file)
    for gone in ("id2label", "label2id", "problem_type"):
        base.pop(gone, None)
    base["architectures"] = [type(model).__name__]
    if kind == "tokens":
        base["id2label"] = {str(i): name for i, name in enumerate(LABELS)}
        base["label2id"] = config.label2id
    with open(f"{target}/config.json", "w") as file:
        json.dump(base, file, indent=2)
    if head:
        save_file({name: value.float().half().contiguous() for name, value in head.items()}, f"{target}/head.safetensors")
    values = [round(float(x), 6) for x in logits.flatten()]
    base_name = os.path.relpath(folder, ROOT)
    with open(f"{target}/golden.json", "w") as file:
        place = {"place": PLACE} if kind == "mask" else {}
        json.dump({"base": base_name, "ids": ids, "types": types, **place, "logits": values}, file)


def main():
    torch.manual_seed(5)
    shutil.rmtree(HEADS, ignore_errors=True)
    for family, folder in encoders().items():
        for kind in KINDS:
            make(family, folder, kind)
        if family in MASKED:
            make(family, folder, "mask")
    print(sorted(os.listdir(HEADS)), transformers.__version__)


if __name__ == "__main__":
    main()

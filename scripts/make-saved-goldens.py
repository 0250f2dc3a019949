"""What PyTorch computes with folders that this package saved: test/models/fixtures/saved.json.

Needs torch and transformers 5. First save the folders, then read them, from the repository's root:
  SAVED=DIR npx vitest run test/models/saved.test.ts
  python scripts/make-saved-goldens.py DIR
"""

import hashlib
import json
import sys
from importlib.machinery import SourceFileLoader

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()


def load(auto, folder):
    model, info = auto.from_pretrained(folder, dtype=torch.float64, output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


def cases_of(name):
    with open(f"{goldens.ROOT}/{name}/golden.json", encoding="utf-8") as file:
        return json.load(file)["cases"]


def digest_of(folder):
    with open(f"{folder}/model.safetensors", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main(root):
    found = {}
    for name in ("gpt2", "opt", "opt-postnorm", "llama", "llama-tied"):
        model = load(AutoModelForCausalLM, f"{root}/{name}")
        with torch.no_grad():
            last = [model(torch.tensor([case["ids"]])).logits[0, -1].tolist() for case in cases_of(name)]
        logits = [[round(x, 7) for x in row] for row in last]
        found[name] = {"sha256": digest_of(f"{root}/{name}"), "logits": logits}
    for name in ("bert-topics", "roberta-mood"):
        folder = f"{root}/{name}"
        with open(f"{folder}/config.json", encoding="utf-8") as file:
            assert json.load(file)["mpcformer"]["softmax"] == "2quad:5"
        model = load(AutoModelForSequenceClassification, folder)
        logits = []
        for case in cases_of(name):
            encoded = {"input_ids": torch.tensor([case["ids"]]), "token_type_ids": torch.tensor([case["types"]])}
            logits.append(goldens.run(model, encoded, "quad", "2quad:5"))
        found[name] = {"sha256": digest_of(folder), "logits": logits}
    with open("test/models/fixtures/saved.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

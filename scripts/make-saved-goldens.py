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
from transformers import AutoModelForSequenceClassification

goldens = SourceFileLoader("goldens", "scripts/make-goldens.py").load_module()


def main(root):
    found = {}
    for name in ("bert-topics", "roberta-mood"):
        folder = f"{root}/{name}"
        with open(f"{folder}/config.json", encoding="utf-8") as file:
            assert json.load(file)["mpcformer"]["softmax"] == "2quad:5"
        with open(f"{folder}/model.safetensors", "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder, dtype=torch.float64, output_loading_info=True
        )
        assert not any(info.values()), info
        with open(f"{goldens.ROOT}/{name}/golden.json", encoding="utf-8") as file:
            cases = json.load(file)["cases"]
        logits = []
        for case in cases:
            encoded = {"input_ids": torch.tensor([case["ids"]]), "token_type_ids": torch.tensor([case["types"]])}
            logits.append(goldens.run(model.eval(), encoded, "quad", "2quad:5"))
        found[name] = {"sha256": digest, "logits": logits}
    with open("test/models/fixtures/saved.json", "w", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

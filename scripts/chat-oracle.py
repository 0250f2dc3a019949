"""What transformers replies with a GGUF file's weights, for test/long/chat-model.long.ts.

python scripts/chat-oracle.py MODEL.gguf QUESTION TOKENS > oracle.json     (needs torch, transformers, gguf, accelerate)
"""

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

path, question, tokens = sys.argv[1:]
folder, name = os.path.split(os.path.abspath(path))
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
messages = [{"role": "user", "content": question}]
text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
prompt = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
told = model.generate(prompt, max_new_tokens=int(tokens), do_sample=False)[0, prompt.shape[1] :]
json.dump({"question": question, "prompt": prompt[0].tolist(), "reply": told.tolist()}, sys.stdout)

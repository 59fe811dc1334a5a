#!/usr/bin/env python3
# tests/record/record_mini.py - records tests/fixtures/mini.json: what transformers makes of a few sentences with the built-in
# encoder, in float32. Of each token's hidden state the first four channels are kept.
import json
from pathlib import Path

import torch
from transformers import AutoModel, AutoTokenizer

ROOT = Path(__file__).resolve().parent.parent.parent
TEXTS = ["The kettle sulks, then boils over; I returned it.", "Café crème brûlée: 3.5 % more in 2015!", "unfathomably",
         "Nobody told us that the spare wheel was made of cardboard."]

directory = ROOT / "pipelines" / "builtin" / "mini"
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
rows = []
for text in TEXTS:
    encoded = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**encoded)[0][0, :, :4]
    rows.append({"text": text, "ids": encoded["input_ids"][0].tolist(), "hidden": [round(x, 6) for x in hidden.flatten().tolist()]})
(ROOT / "tests" / "fixtures" / "mini.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

#!/usr/bin/env python3
# tests/record/check_export.py - does transformers agree with a classifier that ftpipe exported?
#
# Loads MODELDIR with AutoModelForSequenceClassification and AutoTokenizer, runs the texts of FILE again in
# float32 and compares the probabilities. Prints the largest difference; exits 1 above the tolerance.
#
#   check_export.py --dir MODELDIR --input predictions.csv
#   check_export.py --dir MODELDIR --input predictions.jsonl [--texts texts.txt]
#
# FILE is either a CSV with the columns row,text,gold,predicted,probability, or JSON lines with label, score and
# probabilities (a list in class order, or an object by label). Each JSON line carries its `text` (and `pair`),
# or --texts gives one text a line; a line of --texts may hold a text and its pair with a tab between.
import argparse
import csv
import json
import math
import sys
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

BATCH = 32


def read_csv(path):
    """-> list of (text, pair, label, {label: probability})"""
    csv.field_size_limit(1 << 30)
    with open(path, newline="", encoding="utf-8") as file:
        return [(r["text"], None, r["predicted"], {r["predicted"]: float(r["probability"])})
                for r in csv.DictReader(file)]


def read_jsonl(path, texts, names):
    lines = [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]
    given = None
    if texts:
        given = [line.rstrip("\r\n").split("\t", 1) for line in open(texts, encoding="utf-8")]
        if len(given) != len(lines):
            sys.exit(f"{texts} has {len(given)} lines and {path} {len(lines)}")
    rows = []
    for k, line in enumerate(lines):
        if given is None and "text" not in line:
            sys.exit(f"{path}, line {k + 1}: no text; give --texts")
        text, pair = (given[k] + [None])[:2] if given else (line["text"], line.get("pair"))
        probabilities = line.get("probabilities") or {}
        if isinstance(probabilities, list):
            if len(probabilities) != len(names):
                sys.exit(f"{path}, line {k + 1}: {len(probabilities)} probabilities for {len(names)} classes")
            probabilities = dict(zip(names, probabilities))
        probabilities = dict(probabilities)
        if abs(probabilities.setdefault(line["label"], line["score"]) - line["score"]) > 1e-6:
            sys.exit(f"{path}, line {k + 1}: score is not the probability of {line['label']!r}")
        rows.append((text, pair, line["label"], probabilities))
    return rows


def window(tokenizer, model, asked):
    """The longest input: as asked, else the smaller of the tokenizer's and the model's own."""
    return asked or min(tokenizer.model_max_length, model.config.max_position_embeddings)


def max_or_nan(values):
    values = list(values)
    return math.nan if any(map(math.isnan, values)) else max(values)


@torch.inference_mode()
def predict(model, tokenizer, rows, max_length):
    found = []
    for start in range(0, len(rows), BATCH):
        part = rows[start:start + BATCH]
        pairs = [pair or "" for _, pair, _, _ in part] if any(pair for _, pair, _, _ in part) else None
        if pairs and not all(pairs):
            sys.exit("some rows have a pair and some have none")
        batch = tokenizer([text for text, _, _, _ in part], pairs, truncation=True, max_length=max_length,
                          padding=True, return_tensors="pt")
        found += model(**batch).logits.double().softmax(-1).tolist()
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--texts")
    parser.add_argument("--max-length", type=int)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()

    tokenizer = AutoTokenizer.from_pretrained(args.dir)
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        args.dir, dtype=torch.float32, output_loading_info=True)
    model.eval()
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    problems = {k: v for k, v in loading.items() if v}
    if problems:
        sys.exit(f"{args.dir} does not load cleanly: {problems}")

    is_csv = Path(args.input).suffix == ".csv"
    rows = read_csv(args.input) if is_csv else read_jsonl(args.input, args.texts, names)
    if not rows:
        sys.exit(f"{args.input} has no rows")
    worst, worst_row, wrong = 0.0, 0, 0
    expected = predict(model, tokenizer, rows, window(tokenizer, model, args.max_length))
    for k, ((_, _, label, probabilities), ours) in enumerate(zip(rows, expected, strict=True), 1):
        unknown = set(probabilities) - set(names)
        if unknown:
            sys.exit(f"row {k}: {sorted(unknown)} is not among the labels {names}")
        difference = max_or_nan(abs(p - ours[names.index(name)]) for name, p in probabilities.items())
        if math.isnan(difference):
            sys.exit(f"row {k}: a probability is not a number")
        if difference > worst:
            worst, worst_row = difference, k
        # a label may differ only where the two classes are as good as tied
        if max(ours) - ours[names.index(label)] > args.tolerance:
            wrong += 1
    print(f"{len(rows)} rows: largest difference of a probability {worst:.2e} (row {worst_row}), {wrong} labels differ")
    sys.exit(0 if worst <= args.tolerance and wrong == 0 else 1)


if __name__ == "__main__":
    main()

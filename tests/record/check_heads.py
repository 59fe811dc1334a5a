#!/usr/bin/env python3
# tests/record/check_heads.py - does transformers agree with what `ftpipe predict` says, for heads other than those of single labels?
#
#   check_heads.py --dir MODELDIR --input FILE.jsonl
#
# MODELDIR is an exported model, FILE what `ftpipe predict MODELDIR --input ... --json` wrote. Which head it is, config.json says:
# several labels (probabilities are compared), numbers (score), entities (begin, end and label; tags by Viterbi over the first
# tokens of words) or questions (answer, start, end; contexts that fit one window). Exits 1 above the tolerance or at a difference.
# (Single labels: check_export.py.)
import argparse
import json
import sys

import torch
import transformers

TOLERANCE = 1e-4
LONGEST = 30  # tokens of an answer


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = getattr(transformers, config.architectures[0])
    model, info = kind.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    problems = {k: v for k, v in info.items() if v}
    if problems:
        sys.exit(f"{folder} does not load cleanly: {problems}")
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def text_of(row):
    return row["text"] if "text" in row else row["premise"]


def several(model, tokenizer, rows):
    worst, wrong = 0.0, 0
    for row in rows:
        p = model(**tokenizer(text_of(row), return_tensors="pt", truncation=True)).logits[0].double().sigmoid()
        for i, name in model.config.id2label.items():
            worst = max(worst, abs(p[i].item() - row["probabilities"][name]))
    return worst, wrong


def numbers(model, tokenizer, rows):
    worst = 0.0
    for row in rows:
        x = model(**tokenizer(text_of(row), row.get("hypothesis"), return_tensors="pt", truncation=True)).logits[0, 0].item()
        worst = max(worst, abs(x - row.get("predicted_score", row.get("score"))))
    return worst, 0


def allowed(before, now):
    """BIO: an I stands behind B or I of its type."""
    return not now.startswith("I-") or (before is not None and before != "O" and before[2:] == now[2:])


def best_tags(scores, names):
    best = [[s if allowed(None, n) else -1e30 for s, n in zip(scores[0], names)]]
    back = []
    for row in scores[1:]:
        step, values = [], []
        for k, name in enumerate(names):
            options = [(best[-1][j] if allowed(other, name) else -1e30, -j) for j, other in enumerate(names)]
            value, j = max(options)
            values.append(value + row[k])
            step.append(-j)
        best.append(values)
        back.append(step)
    k = max(range(len(names)), key=lambda i: best[-1][i])
    path = [k]
    for step in reversed(back):
        path.append(step[path[-1]])
    return [names[k] for k in reversed(path)]


def entities(model, tokenizer, rows):
    wrong, names = 0, [model.config.id2label[i] for i in range(model.config.num_labels)]
    for row in rows:
        text = row["text"]
        words = text.split(" ")
        encoded = tokenizer(text, return_tensors="pt", truncation=True, return_offsets_mapping=True)
        offsets, sequence = encoded.pop("offset_mapping")[0].tolist(), encoded.sequence_ids(0)
        scores, seen = model(**encoded).logits[0].double().log_softmax(-1).tolist(), {}
        for at, (begin, end) in enumerate(offsets):      # as the text is: between words of a list some tokenizers put no blank
            if sequence[at] == 0 and text[begin:end].strip():
                seen.setdefault(text[:end].count(" "), at)
        tags = best_tags([scores[seen[w]] for w in sorted(seen)], names)
        found, at = [], 0
        for word, tag in zip(words, tags):
            if tag.startswith("B-"):
                found.append([at, at + len(word), tag[2:]])
            elif tag.startswith("I-"):
                found[-1][1] = at + len(word)
            at += len(word) + 1
        wrong += found != [[e["start"], e["end"], e["label"]] for e in row["entities"]]
    if not any(row["entities"] for row in rows):
        sys.exit("no row has an entity: this shows nothing")
    return 0.0, wrong


def questions(model, tokenizer, rows):
    wrong = 0
    for row in rows:
        encoded = tokenizer(row["question"], row["context"], return_tensors="pt", return_offsets_mapping=True)
        offsets, sequence = encoded.pop("offset_mapping")[0].tolist(), encoded.sequence_ids(0)
        out = model(**encoded)
        start, end = out.start_logits[0].double().tolist(), out.end_logits[0].double().tolist()
        text = [i for i, s in enumerate(sequence) if s == 1]
        _, i, j = max((start[i] + end[j], -i, -j) for i in text for j in text if i <= j < i + LONGEST)
        best = row["best"][0]
        wrong += [offsets[-i][0], offsets[-j][1]] != [best["start"], best["end"]]
    return 0.0, wrong


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", required=True)
    parser.add_argument("--input", required=True)
    args = parser.parse_args()
    model, tokenizer = load(args.dir)
    rows = [json.loads(line) for line in open(args.input, encoding="utf-8")]
    kind = model.config.architectures[0].rsplit("For", 1)[1]
    if kind == "SequenceClassification":
        kind = model.config.problem_type
    worst, wrong = {"multi_label_classification": several, "regression": numbers, "TokenClassification": entities,
                    "QuestionAnswering": questions}[kind](model, tokenizer, rows)
    print(f"{kind}: {len(rows)} rows, largest difference {worst:.2e}, {wrong} rows differ")
    sys.exit(0 if rows and worst <= TOLERANCE and wrong == 0 else 1)


main()

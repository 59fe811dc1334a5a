#!/usr/bin/env python3
# tests/record/record_problem_types.py - records tests/fixtures/metrics_multi_label.json (scores of several labels at once, by
# scikit-learn) and tests/fixtures/bert/{multi_label,regression}/: tiny BertForSequenceClassification saved by transformers with
# these problem types, and what it makes of some sentences in float64.
import random
import shutil
from pathlib import Path

import numpy as np
import sklearn
import torch
import transformers
from sklearn import metrics
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertTokenizerFast

import record_bert as rb
import reference as ref

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
TEXTS = rb.TEXTS[:12]
LABELS = ["praise", "blame", "sound", "money"]

# ---- scores ----


def matrix(rows, labels):
    out = np.zeros((len(rows), labels), dtype=int)
    for i, row in enumerate(rows):
        out[i, [k - 1 for k in row]] = 1
    return out


def expectations(gold, predicted, labels):
    g, p = matrix(gold, labels), matrix(predicted, labels)
    out = {"subset_accuracy": float(metrics.accuracy_score(g, p)), "hamming_loss": float(metrics.hamming_loss(g, p))}
    for average in ("micro", "macro", "weighted", "samples"):
        out[average + "_f1"] = float(metrics.f1_score(g, p, average=average, zero_division=0))
    out["micro_precision"] = float(metrics.precision_score(g, p, average="micro", zero_division=0))
    out["micro_recall"] = float(metrics.recall_score(g, p, average="micro", zero_division=0))
    each = metrics.precision_recall_fscore_support(g, p, average=None, zero_division=0)
    out["per_class"] = [[float(a), float(b), float(c), int(d)] for a, b, c, d in zip(*each)]
    return out


def case(rng, rows, labels, share, noise):
    gold = [sorted(k for k in range(1, labels + 1) if rng.random() < share) for _ in range(rows)]
    predicted = [sorted(k for k in range(1, labels + 1) if (k in row) != (rng.random() < noise)) for row in gold]
    drawn = [0] * rows
    for _ in range(rows):
        drawn[rng.randrange(rows)] += 1
    again = [i for i in range(rows) for _ in range(drawn[i])]
    resampled = expectations([gold[i] for i in again], [predicted[i] for i in again], labels)
    return {"labels": labels, "gold": gold, "predicted": predicted, "drawn": drawn,
            "expect": expectations(gold, predicted, labels),
            "resampled": [resampled[k] for k in ("micro_f1", "macro_f1", "subset_accuracy")]}


def record_scores():
    rng = random.Random(8)
    cases = [case(rng, 30, 5, 0.4, 0.2), case(rng, 12, 3, 0.1, 0.3), case(rng, 25, 8, 0.05, 0.05), case(rng, 10, 4, 0.5, 0.0)]
    ref.write_json(FIXTURES / "metrics_multi_label.json", {"about": "rows with any number of labels, ids from 1",
                   "recorded_with": {"scikit-learn": sklearn.__version__}, "cases": cases})


# ---- models ----


def write(folder, seed, **config):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    vocab = folder / "vocab.txt"
    vocab.write_text("\n".join(rb.UNCASED.split()) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab=str(vocab), do_lower_case=True, model_max_length=rb.MAX_POSITIONS).save_pretrained(folder)
    model = BertForSequenceClassification(BertConfig(
        vocab_size=len(rb.UNCASED.split()), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=rb.MAX_POSITIONS, **config))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(rb.INIT_STD * torch.randn(parameter.shape, generator=generator))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    model.eval().save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)
    vocab.unlink()


def record_model(name, seed, labels, **config):
    folder, rng = FIXTURES / "bert" / name, random.Random(seed)
    write(folder, seed, **config)
    model = BertForSequenceClassification.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    batch = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    gold = [labels(rng) for _ in TEXTS]
    out = model(**batch, labels=torch.tensor(gold, dtype=torch.float64))
    out.loss.backward()
    gradient = model.classifier.weight.grad
    ref.write_json(folder / "expect.json", {
        "about": f"sequence classification with problem_type {name}", "texts": TEXTS, "gold": gold, "loss": out.loss.item(),
        "recorded_with": {"torch": torch.__version__, "transformers": transformers.__version__},
        "logits": out.logits.tolist(), "classifier_gradient": gradient.flatten().tolist(),
        "grad_norm": torch.stack([p.grad.square().sum() for p in model.parameters()]).sum().sqrt().item(),
    })


record_scores()
names = {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}
record_model("multi_label", 41, lambda rng: [float(rng.random() < 0.4) for _ in LABELS],
             problem_type="multi_label_classification", **names)
record_model("regression", 42, lambda rng: round(rng.uniform(0, 5), 2), problem_type="regression", num_labels=1)

#!/usr/bin/env python3
# tests/record/record_entities.py - records tests/fixtures/entities/seqeval.json (scores of tag sequences, broken ones too, by
# seqeval) and tests/fixtures/bert/token_classification/ (a tiny BertForTokenClassification saved by transformers, and what
# it makes of some built-in sentences).
#
# As in record_bert.py the weights on disk are float32 and the expectations come from them in float64. README.md beside
# this file explains the keys.
import collections
import random
import re
import shutil
import warnings
from pathlib import Path

import seqeval.metrics
import seqeval.scheme
import tokenizers
import torch
import torch.nn.functional as F
import transformers
from transformers import AutoTokenizer, BertConfig, BertForTokenClassification, BertTokenizerFast

import reference as ref

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "fixtures" / "bert" / "token_classification"
CASES = ROOT / "fixtures" / "entities" / "seqeval.json"
DATA = ROOT.parent / "pipelines" / "builtin" / "entities" / "test.txt"
ROWS, MAX_LENGTH = 12, 64
TYPES = ["LOC", "MISC", "ORG", "PER"]

warnings.filterwarnings("ignore")

# ---- scores ----


def sequences(rng, prefixes, rows, noise):
    """Random tags: runs of one type, a share of which is replaced by whatever prefix and type, so that they are broken."""
    out = []
    for _ in range(rows):
        row = []
        for _ in range(rng.randrange(0, 6)):
            row += ["O"] * rng.randrange(0, 3)
            kind, n = rng.choice(TYPES), rng.randrange(1, 4)
            first = "B" if "B" in prefixes else "I"
            body = [first] + ["I"] * (n - 1)
            if "E" in prefixes and n > 1:
                body[-1] = "E"
            if "S" in prefixes and n == 1:
                body = ["S"]
            row += [f"{p}-{kind}" for p in body]
        out.append([f"{rng.choice(prefixes)}-{rng.choice(TYPES)}" if rng.random() < noise else t for t in row] or ["O"])
    return out


def changed(rng, rows, prefixes, share):
    return [[rng.choice(["O", f"{rng.choice(prefixes)}-{rng.choice(TYPES)}"]) if rng.random() < share else t for t in row]
            for row in rows]


def scores(gold, predicted, scheme):
    how = {"mode": "strict", "scheme": getattr(seqeval.scheme, scheme)} if scheme else {}
    report = seqeval.metrics.classification_report(gold, predicted, output_dict=True, zero_division=0, **how)
    return {kind: [float(v["precision"]), float(v["recall"]), float(v["f1-score"]), int(v["support"])]
            for kind, v in report.items()}


def record_scores():
    rng, cases = random.Random(5), []
    plans = [("IOB2", "BI", 0.0), ("IOB2", "BI", 0.3), ("IOB1", "BI", 0.3), ("IOB1", "I", 0.2), ("IOE2", "IE", 0.3),
             ("IOBES", "BIES", 0.0), ("IOBES", "BIES", 0.3)]
    for scheme, prefixes, noise in plans:
        for share in (0.1, 0.4):
            gold = sequences(rng, prefixes, 12, noise)
            predicted = changed(rng, gold, prefixes, share)
            cases.append({"scheme": scheme, "gold": [" ".join(r) for r in gold],
                          "predicted": [" ".join(r) for r in predicted], "default": scores(gold, predicted, None),
                          "strict": scores(gold, predicted, scheme)})
    CASES.parent.mkdir(parents=True, exist_ok=True)
    ref.write_json(CASES, {"about": "entity scores of random tag sequences", "recorded_with": {"seqeval": "1.2.2"},
                           "cases": cases})


# ---- model ----


def sentences():
    out, row = [], []
    for line in DATA.read_text().splitlines() + [""]:
        if line:
            row.append(line.split("\t"))
        elif row:
            out.append(([w for w, _ in row], [t for _, t in row]))
            row = []
    return [s for s in out if any(t != "O" for t in s[1])][:ROWS]


def write_tokenizer(data):
    text = " ".join(" ".join(words) for words, _ in data)
    characters = sorted(set(text) - {" "})
    counts = collections.Counter(re.findall(r"[A-Za-z]+", text))
    words = sorted(w for w, n in counts.items() if n >= 2 and len(w) > 1)
    vocab = "[PAD] [UNK] [CLS] [SEP] [MASK]".split() + characters + words
    vocab += ["##" + c for c in characters if c.isalnum()] + ["##ing", "##ed", "##er", "##es", "##th", "##on"]
    file = FOLDER / "vocab.txt"
    file.write_text("\n".join(vocab) + "\n")
    BertTokenizerFast(vocab=str(file), do_lower_case=False, model_max_length=MAX_LENGTH).save_pretrained(FOLDER)
    file.unlink()
    return len(vocab)


def write_model(vocab_size, labels):
    config = BertConfig(vocab_size=vocab_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=48, max_position_embeddings=2 * MAX_LENGTH,
                        id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)})
    model = BertForTokenClassification(config)
    generator = torch.Generator().manual_seed(37)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    model.eval().save_pretrained(FOLDER)
    (FOLDER / "model.safetensors").chmod(0o644)


def encoded(data, labels):
    """Ids of each sentence, and the gold label of each token: that of a word on its first token, -100 elsewhere."""
    tokenizer, out = AutoTokenizer.from_pretrained(FOLDER), []
    for words, tags in data:
        e = tokenizer(words, is_split_into_words=True)
        before, gold = None, []
        for w in e.word_ids():
            gold.append(-100 if w is None or w == before else labels.index(tags[w]))
            before = w
        out.append({"ids": e["input_ids"], "types": e["token_type_ids"], "gold": gold})
    return out


def record_model():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    data, labels = sentences(), ["O"] + [f"{p}-{t}" for t in TYPES for p in "BI"]
    write_model(write_tokenizer(data), labels)
    model = BertForTokenClassification.from_pretrained(FOLDER, dtype=torch.float64, attn_implementation="eager").eval()
    rows = encoded(data, labels)
    ids, mask, types = ref.pad([(r["ids"], r["types"]) for r in rows])
    logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
    real = [logits[k, :len(r["ids"])] for k, r in enumerate(rows)]
    gold = torch.tensor([g for r in rows for g in r["gold"]])
    loss = F.cross_entropy(torch.cat(real), gold)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    tensors = {"logits": torch.cat(real).detach().float()}
    tensors.update({"grad." + name: g.float() for name, g in gradients.items()})
    ref.write_tensors(FOLDER / "expect.safetensors", tensors)
    ref.write_json(FOLDER / "expect.json", {
        "about": "built-in sentences with entities, one label for each word",
        "recorded_with": {"torch": torch.__version__, "transformers": transformers.__version__,
                          "tokenizers": tokenizers.__version__},
        "labels": labels, "loss": loss.item(), "rows": rows,
        "grad_norm": torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt().item(),
    })


record_scores()
record_model()

#!/usr/bin/env python3
# tests/record/record_questions.py - records tests/fixtures/bert/question_answering/: a tiny BertForQuestionAnswering saved
# by transformers, and what it makes of some built-in questions, cut into windows by its fast tokenizer.
#
# As in record_bert.py the weights on disk are float32 and the expectations come from them in float64. Spans are found
# here by trying all pairs of tokens. README.md beside this file explains the keys.
import collections
import json
import re
import shutil
from pathlib import Path

import tokenizers
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertConfig, BertForQuestionAnswering, BertTokenizerFast

import reference as ref

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "fixtures" / "bert" / "question_answering"
DATA = ROOT.parent / "pipelines" / "builtin" / "questions" / "test.json"
ROWS, MAX_LENGTH, STRIDE = 14, 48, 12
LONGEST, BEST = 6, 5      # tokens of an answer; spans that are listed


def rows():
    out = []
    for article in json.loads(DATA.read_text())["data"]:
        for p in article["paragraphs"]:
            for q in p["qas"]:
                out.append({"id": q["id"], "question": q["question"], "context": p["context"], "answers": q["answers"]})
    return out[:ROWS]


def write_tokenizer(data):
    """All characters, and the words and endings that occur most, so that many words have several pieces."""
    text = " ".join(r["question"] + " " + r["context"] for r in data).lower()
    characters = sorted(set(text) - {" "})
    counts = collections.Counter(re.findall(r"[a-z]+", text))
    words = sorted(w for w, n in counts.items() if n >= 6 and len(w) > 1)
    vocab = "[PAD] [UNK] [CLS] [SEP] [MASK]".split() + characters + words
    vocab += ["##" + c for c in characters if c.isalnum()] + ["##ing", "##ed", "##er", "##es", "##th", "##on"]
    file = FOLDER / "vocab.txt"
    file.write_text("\n".join(vocab) + "\n")
    BertTokenizerFast(vocab=str(file), do_lower_case=True, model_max_length=MAX_LENGTH).save_pretrained(FOLDER)
    file.unlink()
    return len(vocab)


def write_model(vocab_size):
    config = BertConfig(vocab_size=vocab_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=48, max_position_embeddings=MAX_LENGTH)
    model = BertForQuestionAnswering(config)
    generator = torch.Generator().manual_seed(31)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    model.eval().save_pretrained(FOLDER)


def gold_of(answers, offsets, sequence):
    """Tokens of the first answer: the last that begins at or before it, the first that ends at or behind it; 0, 0 where
    it is not all within the window."""
    if not answers:
        return 0, 0
    begin = answers[0]["answer_start"]
    end = begin + len(answers[0]["text"])
    text = [k for k, s in enumerate(sequence) if s == 1]
    if offsets[text[0]][0] > begin or offsets[text[-1]][1] < end:
        return 0, 0
    return max(k for k in text if offsets[k][0] <= begin), min(k for k in text if offsets[k][1] >= end)


def windows(data):
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    e = tokenizer([r["question"] for r in data], [r["context"] for r in data], truncation="only_second",
                  max_length=MAX_LENGTH, stride=STRIDE, return_overflowing_tokens=True, return_offsets_mapping=True)
    out = []
    for k, row in enumerate(e["overflow_to_sample_mapping"]):
        sequence, offsets = e.sequence_ids(k), e["offset_mapping"][k]
        text = [i for i, s in enumerate(sequence) if s == 1]
        start, end = gold_of(data[row]["answers"], offsets, sequence)
        out.append({"row": row, "ids": e["input_ids"][k], "types": e["token_type_ids"][k], "first": text[0], "count": len(text),
                    "begin": [offsets[i][0] for i in text], "end": [offsets[i][1] for i in text], "gold": [start, end]})
    return out


def logits_of(model, found):
    ids, mask, types = ref.pad([(w["ids"], w["types"]) for w in found])
    out = model(input_ids=ids, attention_mask=mask, token_type_ids=types)
    return [torch.stack([out.start_logits[k, :len(w["ids"])], out.end_logits[k, :len(w["ids"])]], -1)
            for k, w in enumerate(found)]


def spans_of(found, logits, row):
    """The best spans of a row over all its windows, one for each place in the context; and the lowest null score."""
    best, null = {}, float("inf")
    for w, z in zip(found, logits):
        if w["row"] != row:
            continue
        null = min(null, (z[0, 0] + z[0, 1]).item())
        for i in range(w["count"]):
            for j in range(i, min(i + LONGEST, w["count"])):
                place = (w["begin"][i], w["end"][j])
                score = (z[w["first"] + i, 0] + z[w["first"] + j, 1]).item()
                best[place] = max(best.get(place, -1e9), score)
    order = sorted(best.items(), key=lambda x: -x[1])[:BEST]
    return {"spans": [[*place, score] for place, score in order], "null": null}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    data = rows()
    write_model(write_tokenizer(data))
    model = BertForQuestionAnswering.from_pretrained(FOLDER, dtype=torch.float64, attn_implementation="eager").eval()
    found = windows(data)
    logits = logits_of(model, found)
    losses = torch.stack([sum(F.cross_entropy(z[None, :, c], torch.tensor([w["gold"][c]])) for c in (0, 1)) / 2
                          for w, z in zip(found, logits)])
    losses.mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    tensors = {"logits": torch.cat(logits).detach().float(), "losses": losses.detach().float()}
    tensors.update({"grad." + name: g.float() for name, g in gradients.items()})
    save_file(tensors, FOLDER / "expect.safetensors")
    ref.write_json(FOLDER / "expect.json", {
        "about": "built-in questions in windows; answers over windows",
        "recorded_with": {"torch": torch.__version__, "transformers": transformers.__version__,
                          "tokenizers": tokenizers.__version__},
        "rows": [r["id"] for r in data], "max_length": MAX_LENGTH, "stride": STRIDE, "longest": LONGEST, "best": BEST,
        "windows": found, "answers": [spans_of(found, logits, k) for k in range(len(data))],
        "grad_norm": torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt().item(),
    })


main()

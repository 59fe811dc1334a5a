#!/usr/bin/env python3
"""The other side of tests/bench/against_torch.py: training and evaluation speed of PyTorch + transformers.

    torch_speed.py --shape minilm-l6 --lengths 128 --batch 32 --precision f32 --attention sdpa

A BERT of random weights with a classification head: whole updates (forward, backward, clipping, fused AdamW, dropout 0.1),
then evaluation under inference_mode (--only leaves one of the two out). Prints one JSON line: non-padding tokens per second of both, and peak resident memory.
--lengths is a number or a file of lengths, taken in order; --group sorts them before they are cut into batches, --fixed pads
every row to 128 tokens.
"""
import argparse
import json
import os
import random
import resource
import time

parser = argparse.ArgumentParser()
parser.add_argument("--shape", default="minilm-l6", choices=["minilm-l6", "distil", "bert-base"])
parser.add_argument("--lengths", default="128")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--updates", type=int, default=12)
parser.add_argument("--warm", type=int, default=3)
parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
parser.add_argument("--attention", default="sdpa", choices=["eager", "sdpa"])
parser.add_argument("--medium", action="store_true", help="float32 products computed in bf16 inside")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--group", action="store_true")
parser.add_argument("--fixed", action="store_true")
parser.add_argument("--only", choices=["train", "eval"])
parser.add_argument("--threads", type=int, default=os.cpu_count())
args = parser.parse_args()

import torch
from transformers import BertConfig, BertForSequenceClassification

SHAPES = {"minilm-l6": (384, 6, 12, 1536), "distil": (768, 6, 12, 3072), "bert-base": (768, 12, 12, 3072)}


def lengths_of_rows(n):
    if args.lengths.isdigit():
        return [int(args.lengths)] * n
    with open(args.lengths) as file:
        known = [int(word) for word in file.read().split()]
    return [known[i % len(known)] for i in range(n)]


def batches_of_rows():
    count = args.batch * (args.updates + args.warm)
    rows = lengths_of_rows(count * 8 if args.group else count)
    if args.group:
        rows.sort()
    batches = [rows[i:i + args.batch] for i in range(0, len(rows), args.batch)]
    if args.group:
        random.Random(1).shuffle(batches)
    return batches[:args.updates + args.warm]


def tensors_of(rows):
    width = 128 if args.fixed else max(rows)
    mask = torch.tensor([[1] * n + [0] * (width - n) for n in rows])
    words = (16385 ** torch.rand(mask.shape)).long()  # Zipf's law, as `ftpipe bench` has it
    return {"input_ids": (999 + words) * mask, "attention_mask": mask, "labels": torch.randint(0, 2, (len(rows),))}


def rate(times):
    return sum(tokens for tokens, _ in times) / sum(seconds for _, seconds in times) if times else None


torch.set_num_threads(args.threads)
torch.manual_seed(1)
if args.medium:
    torch.set_float32_matmul_precision("medium")
hidden, layers, heads, inner = SHAPES[args.shape]
model = BertForSequenceClassification(BertConfig(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                                                 intermediate_size=inner, attn_implementation=args.attention))
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
network = torch.compile(model, dynamic=not args.lengths.isdigit() and not args.fixed) if args.compile else model
cast = torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16")
training, evaluation = [], []
batches = batches_of_rows()

model.train()
for number, rows in enumerate(batches if args.only != "eval" else []):
    batch = tensors_of(rows)
    start = time.perf_counter()
    with cast:
        loss = network(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    if number >= args.warm:
        training.append((sum(rows), time.perf_counter() - start))

model.eval()
with torch.inference_mode():
    for number, rows in enumerate(batches if args.only != "train" else []):
        batch = tensors_of(rows)
        start = time.perf_counter()
        with cast:
            network(**batch)
        if number >= args.warm:
            evaluation.append((sum(rows), time.perf_counter() - start))

print(json.dumps({"train_tok_s": rate(training), "eval_tok_s": rate(evaluation),
                  "resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "torch": torch.__version__}))

#!/usr/bin/env python3
# tests/record/record_minilm.py - records tests/fixtures/bert/minilm.{json,safetensors} from all-MiniLM-L6-v2.
#
# The fixture holds floats and digests only: the sentences are tests/fixtures/bert/sentences.txt, the model and
# SST-2 stay outside. Without --sst2 the loss curve that is already in the fixture is kept.
#
#   record_minilm.py --model DIR [--sst2 PATH/stsa.binary.train] [--dtype float64] [--threads N]
import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

import reference as ref

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "bert"
TENSORS, NUMBERS = FIXTURES / "minilm.safetensors", FIXTURES / "minilm.json"
LAST_ROW_CHANNELS = 96  # of 384, to keep the file small; the CLS row and the mean are whole
MAX_LENGTH = 128
CURVE = {"sentences": 1000, "batch": 32, "lr": 5e-5, "weight_decay": 0.01, "clip": 1.0, "head_std": 0.02,
         "head_seed": 31}


def encode(tokenizer, texts):
    """Ids and types of each text, truncated to MAX_LENGTH, without the padding that tokenizer.json asks for."""
    tokenizer.backend_tokenizer.no_padding()
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH, padding=False)
    return list(zip(encoded["input_ids"], encoded["token_type_ids"]))


def record_sentences(encoder, tokenizer):
    texts = (FIXTURES / "sentences.txt").read_text(encoding="utf-8").splitlines()
    rows = encode(tokenizer, texts)
    first, last, mean = [], [], []
    with torch.no_grad():
        for row in rows:
            hidden, _ = ref.encoder_output(encoder, [row])
            assert len(hidden) == len(row[0])
            first.append(hidden[0])
            last.append(hidden[-1, :LAST_ROW_CHANNELS])
            mean.append(hidden.mean(0))
    tensors = {"cls": torch.stack(first), "last": torch.stack(last), "mean": torch.stack(mean)}
    numbers = {"count": len(rows), "tokens": [len(ids) for ids, _ in rows],
               "ids_sha256": [ref.ids_digest(ids) for ids, _ in rows]}
    return {name: ref.f32(value) for name, value in tensors.items()}, numbers


def record_curve(encoder, tokenizer, path, dtype):
    """One epoch in file order, no dropout, encoder and head together."""
    lines = Path(path).read_text(encoding="utf-8").split("\n")[:CURVE["sentences"]]
    labels = [int(line[0]) for line in lines]
    rows = encode(tokenizer, [line.split(" ", 1)[1] for line in lines])

    head = torch.nn.Linear(encoder.config.hidden_size, 2, dtype=dtype)
    start = CURVE["head_std"] * torch.randn(head.weight.shape,
                                            generator=torch.Generator().manual_seed(CURVE["head_seed"]))
    with torch.no_grad():
        head.weight.copy_(start)
        head.bias.zero_()

    def loss_of(batch):
        _, pooled = ref.encoder_output(encoder, [rows[r] for r in batch])
        return F.cross_entropy(head(pooled), torch.tensor([labels[r] for r in batch]))

    named = list(encoder.named_parameters()) + [("head." + n, p) for n, p in head.named_parameters()]
    size = CURVE["batch"]
    batches = [range(k, min(k + size, len(rows))) for k in range(0, len(rows), size)]
    rates = ref.linear_schedule(CURVE["lr"], len(batches))
    optimiser = ref.adamw(named, CURVE["lr"], CURVE["weight_decay"])
    losses, norms = ref.train([p for _, p in named], optimiser, loss_of, batches, rates, CURVE["clip"])

    with torch.no_grad():
        _, pooled = ref.encoder_output(encoder, rows[:size])
        final = head(pooled)
    ids = [i for row, _ in rows for i in row]
    numbers = {**CURVE, "max_length": MAX_LENGTH, "dtype": str(dtype).removeprefix("torch."),
               "updates": len(batches), "betas": [0.9, 0.999], "eps": 1e-8, "tokens": len(ids),
               "ids_sha256": ref.ids_digest(ids), "learning_rates": rates, "loss": losses, "grad_norm": norms}
    return {"head.weight": ref.f32(start), "final_logits": ref.f32(final)}, numbers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--sst2")
    parser.add_argument("--dtype", default="float64", choices=["float64", "float32"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dry-run", action="store_true", help="compare with the fixture, write nothing")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    dtype = getattr(torch, args.dtype)

    def load():
        return AutoModel.from_pretrained(args.model, dtype=dtype, attn_implementation="eager").eval()

    tokenizer = AutoTokenizer.from_pretrained(args.model)
    tensors, sentences = record_sentences(load(), tokenizer)
    old_tensors = load_file(TENSORS) if TENSORS.exists() else {}
    old_numbers = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    if args.sst2:
        curve_tensors, curve = record_curve(load(), tokenizer, args.sst2, dtype)
    else:
        curve_tensors = {k: old_tensors[k] for k in ("head.weight", "final_logits") if k in old_tensors}
        curve = old_numbers.get("curve", {})
    tensors.update(curve_tensors)

    for name in sorted(tensors.keys() & old_tensors.keys()):
        print(f"{name:14s} differs from the old fixture by {(tensors[name] - old_tensors[name]).abs().max():.1e}")
    for key in ("loss", "grad_norm"):
        if key in curve and "curve" in old_numbers:
            worst = max(abs(a - b) for a, b in zip(curve[key], old_numbers["curve"][key]))
            print(f"{key:14s} differs from the old fixture by {worst:.1e}")
    if "loss" in curve:
        print("loss", [round(v, 4) for v in curve["loss"]])
        print("gradient norm", [round(v, 2) for v in curve["grad_norm"]])
    if args.dry_run:
        return
    ref.write_tensors(TENSORS, tensors)
    ref.write_json(NUMBERS, {
        "model": "all-MiniLM-L6-v2",
        "recorded_with": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "max_length": MAX_LENGTH,
        "last_row_channels": LAST_ROW_CHANNELS,
        "sentences": sentences,
        "curve": curve,
    })
    print(f"{(TENSORS.stat().st_size + NUMBERS.stat().st_size) / 1000:.1f} kB")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# tests/record/record_masked_lm.py - records tests/fixtures/bert/masked_lm/: a tiny BertForMaskedLM saved by transformers,
# and its logits, losses, gradients and a short AdamW trace in float64. The vocabulary and texts are record_bert.py's.
import shutil

import torch
import torch.nn.functional as F
import transformers
from transformers import BertConfig, BertForMaskedLM

import record_bert as rb
import reference as ref

SEED, UPDATES, ROWS = 31, 8, 8
CASE = rb.Case("masked_lm", "", SEED)


def make_model(vocab_size):
    config = BertConfig(vocab_size=vocab_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=48, hidden_act="gelu", max_position_embeddings=rb.MAX_POSITIONS,
                        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-12)
    model = BertForMaskedLM(config)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(rb.INIT_STD * torch.randn(parameter.shape, generator=generator))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    model.tie_weights()
    return model.eval()


def masked(rows, tokenizer_size, seed):
    """Every fifth token or so is chosen, and the mask token (4) put there -> rows, places, labels over all tokens."""
    generator = torch.Generator().manual_seed(seed)
    out, places, labels, at = [], [], [], 0
    for ids, types in rows:
        changed = list(ids)
        for k in range(1, len(ids) - 1):
            if torch.rand((), generator=generator) < 0.2:
                places.append(at + k)
                labels.append(ids[k])
                changed[k] = 4 if k % 3 else int(torch.randint(5, tokenizer_size, (), generator=generator))
        out.append((changed, types))
        at += len(ids)
    return out, places, labels


def losses_of(model, rows, places, labels):
    ids, mask, types = ref.pad(rows)
    logits = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits[mask.bool()][places]
    return logits, F.cross_entropy(logits, torch.tensor(labels), reduction="none")


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    folder = rb.FIXTURES / "masked_lm"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    size = rb.write_tokenizer(CASE, folder)
    make_model(size).save_pretrained(folder)
    model = BertForMaskedLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    rows, places, labels = masked(rb.encode(folder, [(t, None) for t in rb.TEXTS[:ROWS]]), size, SEED)

    logits, losses = losses_of(model, rows, places, labels)
    losses.mean().backward()
    stored = {"grad." + name: ref.f32(p.grad) for name, p in model.named_parameters()}
    stored.update({"logits": ref.f32(logits.detach()), "losses": ref.f32(losses.detach()),
                   "ids": ref.i32([i for ids, _ in rows for i in ids]), "lengths": ref.i32([len(i) for i, _ in rows]),
                   "places": ref.i32(places), "labels": ref.i32(labels)})
    named = list(model.named_parameters())
    rates = ref.linear_schedule(2e-3, UPDATES)
    optimiser = ref.adamw(named, rates[0], weight_decay=0.01)
    trace, norms = ref.train([p for _, p in named], optimiser,
                             lambda _: losses_of(model, rows, places, labels)[1].mean(), range(UPDATES), rates, 1.0)
    stored["after.bert.embeddings.word_embeddings.weight"] = ref.f32(model.bert.embeddings.word_embeddings.weight.detach())
    stored["after.cls.predictions.bias"] = ref.f32(model.cls.predictions.bias.detach())
    ref.write_tensors(folder / "expect.safetensors", stored)
    ref.write_json(folder / "expect.json", {
        "recorded_with": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "mean_loss": losses.mean().item(), "rates": rates, "losses": trace, "norms": norms, "clip": 1.0, "weight_decay": 0.01})
    for file in folder.iterdir():
        file.chmod(0o644)
    print(len(places), "of", sum(len(i) for i, _ in rows), "tokens masked; loss", trace)


main()

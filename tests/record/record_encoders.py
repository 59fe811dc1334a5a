#!/usr/bin/env python3
# tests/record/record_encoders.py - records tests/fixtures/encoders/<encoder>_<head>/: tiny random checkpoints of encoders
# other than BERT, saved by transformers for each of its heads, and what it makes of random token ids.
#
# As in record_bert.py the weights on disk are float32 and the expectations come from them in a float64 model. README.md beside this file explains every key.
#
#   record_encoders.py                     every case
#   record_encoders.py --only electra      the cases of one encoder (may be repeated)
import argparse
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers

import reference as ref

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "encoders"
VOCAB, POSITIONS, ROWS = 60, 24, 6
INIT_STD = 0.2  # ten times BERT's own, so that a wrong term shows in the logits
HEADS = {"classification": "ForSequenceClassification", "token_classification": "ForTokenClassification",
         "question_answering": "ForQuestionAnswering", "masked_lm": "ForMaskedLM"}
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
AS_ROBERTA = {"[CLS]": 0, "[PAD]": 1, "[SEP]": 2, "[UNK]": 3, "[MASK]": VOCAB - 1}
ROBERTA = {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}


@dataclass
class Encoder:
    name: str
    classes: str          # how transformers' classes begin
    seed: int
    config: dict
    other: list = field(default_factory=list)   # cases beside HEADS: (name, class)
    special: dict = field(default_factory=lambda: SPECIAL)
    types: int = 2        # token types that occur


SIZES = {"vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
         "max_position_embeddings": POSITIONS}
ENCODERS = [
    Encoder("electra", "Electra", 41, {**SIZES, "embedding_size": 10, "type_vocab_size": 2, "layer_norm_eps": 1e-6},
            other=[("discriminator", "ElectraForPreTraining")]),
    Encoder("electra_square", "Electra", 42, {**SIZES, "embedding_size": 16, "num_hidden_layers": 1, "hidden_act": "relu"}),
    Encoder("distilbert", "DistilBert", 43,
            {"vocab_size": VOCAB, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": POSITIONS},
            types=1),
    Encoder("roberta", "Roberta", 44, {**SIZES, **ROBERTA, "layer_norm_eps": 1e-5}, special=AS_ROBERTA, types=1),
    Encoder("xlm_roberta", "XLMRoberta", 45, {**SIZES, **ROBERTA, "num_hidden_layers": 1, "hidden_act": "gelu_new"},
            special=AS_ROBERTA, types=1),
    Encoder("camembert", "Camembert", 46, {**SIZES, **ROBERTA, "num_hidden_layers": 1}, special=AS_ROBERTA, types=1),
]


def write_tokenizer(encoder, folder):
    """A vocabulary of invented words; the special tokens are where the encoder expects them."""
    words = {i: f"w{i}" for i in range(VOCAB)}
    words.update({i: token for token, i in encoder.special.items()})
    (folder / "vocab.txt").write_text("".join(words[i] + "\n" for i in range(VOCAB)))
    ref.write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": False,
                                                      "model_max_length": POSITIONS - 2})


def make_model(encoder, cls, labels):
    config = getattr(transformers, encoder.classes + "Config")(**encoder.config)
    if labels:
        config.id2label = {i: f"label {i}" for i in range(labels)}
        config.label2id = {f"label {i}": i for i in range(labels)}
    model = getattr(transformers, cls)(config)
    generator = torch.Generator().manual_seed(encoder.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(INIT_STD * torch.randn(parameter.shape, generator=generator))
            if "norm.weight" in name.lower():
                parameter.add_(1.0)
    model.tie_weights()
    return model.eval()


def random_rows(encoder):
    """(ids, types) of each row: [CLS], random words, [SEP]."""
    generator = torch.Generator().manual_seed(encoder.seed + 1)
    known = set(encoder.special.values())
    words = [i for i in range(VOCAB) if i not in known]
    rows = []
    for length in [3, 17, 8, POSITIONS - 2, 5, 11][:ROWS]:
        middle = [words[int(torch.randint(len(words), (), generator=generator))] for _ in range(length - 2)]
        ids = [encoder.special["[CLS]"]] + middle + [encoder.special["[SEP]"]]
        first = length // 2
        rows.append((ids, [0] * first + [encoder.types - 1] * (length - first)))
    return rows, generator


def gold_of(encoder, head, rows, generator):
    """-> arguments of the model that say what is right, and the same as one flat list."""
    longest = max(len(ids) for ids, _ in rows)
    draw = lambda n: int(torch.randint(n, (), generator=generator))
    if head == "classification":
        labels = [draw(3) for _ in rows]
        return {"labels": torch.tensor(labels)}, labels
    if head == "question_answering":
        starts = [draw(len(ids)) for ids, _ in rows]
        ends = [draw(len(ids)) for ids, _ in rows]
        return {"start_positions": torch.tensor(starts), "end_positions": torch.tensor(ends)}, \
            [x for pair in zip(starts, ends) for x in pair]
    n = 5 if head == "token_classification" else VOCAB
    every = 3 if head == "token_classification" else 2
    labels = [[-100 if k % every == 0 else draw(n) for k in range(len(ids))] for ids, _ in rows]
    padded = torch.tensor([x + [-100] * (longest - len(x)) for x in labels])
    return {"labels": padded}, [x for row in labels for x in row]


def logits_and_loss(model, head, inputs, gold):
    """transformers' own loss; except for questions, where it counts padding as places where an answer may be."""
    out = model(**inputs, **gold)
    if head != "question_answering":
        return out.logits, out.loss
    logits, rows = torch.stack([out.start_logits, out.end_logits], -1), inputs["attention_mask"].sum(1)
    sides = [gold["start_positions"], gold["end_positions"]]
    loss = sum(F.cross_entropy(logits[r, :n, c][None], sides[c][r][None]) for r, n in enumerate(rows) for c in (0, 1))
    return logits, loss / (2 * len(rows))


def record(encoder, head, cls):
    folder = FIXTURES / f"{encoder.name}_{head}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_tokenizer(encoder, folder)
    labels = {"classification": 3, "token_classification": 5}.get(head, 0)
    make_model(encoder, cls, labels).save_pretrained(folder)
    model = getattr(transformers, cls).from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    rows, generator = random_rows(encoder)
    ids, mask, types = ref.pad(rows, encoder.special["[PAD]"])
    inputs = {"input_ids": ids, "attention_mask": mask}
    if encoder.types > 1:
        inputs["token_type_ids"] = types
    stored = {"ids": ref.i32([i for r, _ in rows for i in r]), "types": ref.i32([t for _, r in rows for t in r]),
              "lengths": ref.i32([len(r) for r, _ in rows])}
    out = model(**inputs, output_hidden_states=True)
    stored["last_hidden_state"] = ref.f32(out.hidden_states[-1][mask.bool()])
    numbers = {"case": folder.name, "recorded_with": {"torch": torch.__version__.split("+")[0],
                                                      "transformers": transformers.__version__}}
    if head in HEADS:
        gold, flat = gold_of(encoder, head, rows, generator)
        logits, loss = logits_and_loss(model, head, inputs, gold)
        loss.backward()
        stored["labels"] = ref.i32(flat)
        stored["logits"] = ref.f32(logits if head == "classification" else logits[mask.bool()])
        gradients = {name: p.grad for name, p in model.named_parameters(remove_duplicate=False)}
        stored.update({"grad." + name: ref.f32(g) for name, g in gradients.items() if g is not None})
        numbers["loss"] = loss.item()
        numbers["grad_norm"] = torch.stack([g.square().sum() for g in gradients.values() if g is not None]).sum().sqrt().item()
    ref.write_tensors(folder / "expect.safetensors", stored)
    ref.write_json(folder / "expect.json", numbers)
    for file in folder.iterdir():
        file.chmod(0o644)
    print(folder.name, numbers.get("loss"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append")
    only = parser.parse_args().only
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for encoder in ENCODERS:
        if not only or encoder.name in only:
            for head, suffix in HEADS.items():
                record(encoder, head, encoder.classes + suffix)
            for name, cls in encoder.other:
                record(encoder, name, cls)


main()

#!/usr/bin/env python3
# tests/record/record_bert.py - records tests/fixtures/bert/<case>/: tiny BERTs and what transformers makes of them.
#
# The weights on disk are float32 (or narrower); the expectations come from those rounded weights in a float64
# model. README.md beside this file explains every key.
#
#   record_bert.py                            every case
#   record_bert.py --only pairs_gelu_new      one case (may be repeated)
#   record_bert.py --saved-by-transformers    only the case saved with its tokenizer by transformers
#   record_bert.py --float32                  also print how far a float32 run is from each expectation
import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

import reference as ref

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "bert"
BATCH = 8  # rows of the forward pass and of each update
MAX_POSITIONS = 40
INIT_STD = 0.2  # ten times BERT's own, so that a wrong term shows in the logits

SPECIAL = "[PAD] [UNK] [CLS] [SEP] [MASK]"
COMMON = """
    . , ! ? ' - : ( ) / 0 1 2 5 ##0 ##5 a i s t ##s ##e ##d ##y ##r ##ly ##ing ##er ##n ##t ##able ##ness
    the it is was not no very and but or with for this that my you in on of to
    good bad great poor film camera battery screen sound cable box price cheap broke work fast slow light love hate
    return buy after two week day so much do from all ##ed ##ful ##o ##l 好 坏 电 池 很 ß
"""
UNCASED = SPECIAL + COMMON + "cafe naive uber usb un ##happy"
CASED = SPECIAL + COMMON + "The It This I Not Good BAD Great GREAT LOVE USB TV café naïve Über ##É ##é É un ##happy ##B T"

# Row 0 is the shortest ([CLS] x [SEP]); the first eight rows are the batch of the forward pass.
TEXTS = [
    "Great",
    "The battery is good, but the screen broke after two weeks.",
    "It was not bad!",
    "This is the camera that I love: fast, light and cheap; the sound is very good and the box (with a USB cable)"
    " was great.",
    "很好 电池坏",
    "I hate this film",
    "The naïve café was GREAT, the Über cable not so much?",
    "Poor, slow and unhappy - return it to the box",
    "No.",
    "Two days of work with the camera and no sound on it.",
    "LOVE the price!",
    "The USB cable broke in a day, and it was not cheap",
    "Good light, good sound.",
    "It's returnable after 25 days, or not?",
    "BAD BAD BAD",
    "you buy this for the sound, not for the screen!!",
    "The goodness of the film is in the poorness of the sound",
    "好 camera, 坏 cable",
    "I buy it for work, and it works.",
    "Cheaply done / slowly broke",
    "É Straße é",
    "It is a very, very light box",
    "Unhappy with the lightness of the TV on day 10",
    "Not good, not great, but fast",
]


@dataclass
class Case:
    name: str
    about: str
    seed: int
    labels: int = 2
    cased: bool = False
    pairs: bool = False
    hidden: int = 32
    layers: int = 1
    heads: int = 4
    intermediate: int = 48
    act: str = "gelu"
    eps: float = 1e-12
    types: int = 2
    form: str = "plain"
    gradients: bool = True
    trace: str = ""
    adam_eps: float = 1e-8


CASES = [
    Case("uncased_gelu", "two layers, erf GELU, uncased; AdamW trace", 11, layers=2, trace="adamw"),
    Case("pairs_gelu_new", "sentence pairs, tanh GELU, head size 12, epsilon 1e-5, three labels; AdamW trace",
         12, labels=3, pairs=True, hidden=36, heads=3, intermediate=60, act="gelu_new", eps=1e-5,
         trace="adamw", adam_eps=1e-6),
    Case("cased_relu", "cased, ReLU, one token type, five labels", 13, labels=5, cased=True, hidden=48, heads=4,
         intermediate=96, act="relu", types=1),
    Case("three_layers", "three layers, two heads of 16, epsilon 1e-5", 14, layers=3, heads=2, eps=1e-5),
    Case("pairs_cased_sgd", "cased sentence pairs, head size 10, ReLU; SGD trace", 15, labels=3, cased=True,
         pairs=True, hidden=40, heads=4, act="relu", trace="sgd"),
    Case("wide_gelu", "hidden 48, two heads of 24, five labels, erf GELU, epsilon 1e-5", 16, labels=5, hidden=48,
         heads=2, intermediate=64, eps=1e-5),
    Case("published_encoder", "no `bert.` prefix, LayerNorm.gamma/beta, no pooler, an I64 position_ids buffer, and"
         " left-over masked-language-model tensors", 17, form="published_encoder", gradients=False),
    Case("published_masked_lm", "`bert.` prefix, LayerNorm.gamma/beta, a pooler, no classifier, and left-over"
         " pre-training heads", 18, cased=True, layers=2, form="published_masked_lm", gradients=False),
    Case("sharded", "weights in several files with model.safetensors.index.json", 19, labels=3, layers=2,
         form="sharded", gradients=False),
    Case("half_f16", "the weights stored as F16", 20, form="f16", act="gelu_new", gradients=False),
    Case("half_bf16", "the weights stored as BF16", 21, form="bf16", gradients=False),
    Case("saved_by_transformers", "fine-tuned-looking directory: label names in config.json, tokenizer.json and no"
         " vocab.txt, as transformers saves them", 22, labels=3, cased=True, pairs=True, layers=2, act="gelu",
         form="saved_by_transformers", gradients=False),
]
LABEL_NAMES = ["bad", "so-so", "good"]
STORED = {"f16": torch.float16, "bf16": torch.bfloat16}


# ---- inputs

def write_tokenizer(case, folder):
    """vocab.txt and tokenizer_config.json by hand, or tokenizer.json by transformers."""
    vocab = (CASED if case.cased else UNCASED).split()
    assert len(vocab) == len(set(vocab)) and 100 <= len(vocab) <= 200
    (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    if case.form == "saved_by_transformers":
        BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=not case.cased).save_pretrained(folder)
        (folder / "vocab.txt").unlink()
    else:
        ref.write_json(folder / "tokenizer_config.json", {
            "do_lower_case": not case.cased,
            "model_max_length": MAX_POSITIONS,
            "tokenizer_class": "BertTokenizer",
        })
    return len(vocab)


def sentences(case):
    """(text, pair or None) of each row. A pair is the head of another row, and the last row has none."""
    rows = []
    for r, text in enumerate(TEXTS):
        other = " ".join(TEXTS[(5 * r + 6) % len(TEXTS)].split()[:4])
        rows.append((text, other if case.pairs and r < len(TEXTS) - 1 else None))
    if not case.trace and case.form != "saved_by_transformers":
        rows = rows[:BATCH]
    return rows


def encode(folder, rows):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = [tokenizer(text, pair) for text, pair in rows]
    result = [(e["input_ids"], e["token_type_ids"]) for e in encoded]
    assert max(len(ids) for ids, _ in result) <= MAX_POSITIONS
    return result


# ---- models

def make_model(case, vocab_size):
    dropout = 0.0 if case.trace else 0.1
    config = BertConfig(
        vocab_size=vocab_size, hidden_size=case.hidden, num_hidden_layers=case.layers,
        num_attention_heads=case.heads, intermediate_size=case.intermediate, hidden_act=case.act,
        layer_norm_eps=case.eps, type_vocab_size=case.types, max_position_embeddings=MAX_POSITIONS,
        num_labels=case.labels, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    if case.form == "saved_by_transformers":
        config.id2label = dict(enumerate(LABEL_NAMES))
        config.label2id = {name: i for i, name in enumerate(LABEL_NAMES)}
    model = BertForSequenceClassification(config)
    generator = torch.Generator().manual_seed(case.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(INIT_STD * torch.randn(parameter.shape, generator=generator))
            if name.endswith("LayerNorm.weight"):
                parameter.add_(1.0)
    return model.eval()


def old_name(name):
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def pretraining_heads(case, vocab_size):
    """Tensors that a reader must skip: the heads BERT was pre-trained with."""
    generator = torch.Generator().manual_seed(case.seed + 1000)
    shapes = {
        "cls.predictions.bias": (vocab_size,),
        "cls.predictions.transform.dense.weight": (case.hidden, case.hidden),
        "cls.predictions.transform.dense.bias": (case.hidden,),
        "cls.predictions.transform.LayerNorm.gamma": (case.hidden,),
        "cls.predictions.transform.LayerNorm.beta": (case.hidden,),
        "cls.predictions.decoder.weight": (vocab_size, case.hidden),
    }
    if case.form == "published_masked_lm":
        shapes["cls.seq_relationship.weight"] = (2, case.hidden)
        shapes["cls.seq_relationship.bias"] = (2,)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def published_tensors(case, model):
    tensors = {}
    for name, value in model.state_dict().items():
        if name.startswith("classifier."):
            continue
        if case.form == "published_encoder":
            if ".pooler." in name:
                continue
            name = name.removeprefix("bert.")
        tensors[old_name(name)] = value.clone()
    if case.form == "published_encoder":
        tensors["embeddings.position_ids"] = torch.arange(MAX_POSITIONS).unsqueeze(0)
    tensors.update(pretraining_heads(case, model.config.vocab_size))
    return tensors


def write_model(case, model, folder):
    if case.form.startswith("published"):
        config = model.config.to_dict()
        kept = ("attention_probs_dropout_prob", "hidden_act", "hidden_dropout_prob", "hidden_size",
                "initializer_range", "intermediate_size", "layer_norm_eps", "max_position_embeddings",
                "num_attention_heads", "num_hidden_layers", "pad_token_id", "type_vocab_size", "vocab_size")
        ref.write_json(folder / "config.json", {
            "architectures": ["BertForMaskedLM"], "model_type": "bert", "gradient_checkpointing": False,
            "position_embedding_type": "absolute", **{key: config[key] for key in kept}})
        save_file(published_tensors(case, model), folder / "model.safetensors", metadata={"format": "pt"})
    elif case.form == "sharded":
        model.save_pretrained(folder, max_shard_size="40KB")
        assert len(list(folder.glob("model-*.safetensors"))) >= 3
    else:
        model.to(STORED.get(case.form, torch.float32)).save_pretrained(folder)


def load_model(case, folder, dtype):
    """What is on disk, in a model of the given precision, by transformers' own loader."""
    options = {"dtype": dtype, "attn_implementation": "eager"}
    if case.form == "published_encoder":
        return BertModel.from_pretrained(folder, add_pooling_layer=False, **options).eval()
    if case.form == "published_masked_lm":
        return BertModel.from_pretrained(folder, **options).eval()
    return BertForSequenceClassification.from_pretrained(folder, **options).eval()


def check_loaded(case, made, loaded):
    """The loader found every weight: rounding to the stored type is the only change."""
    source = made.state_dict()
    for name, value in loaded.state_dict().items():
        full = name if name in source else "bert." + name
        stored = source[full].to(STORED.get(case.form, torch.float32))
        assert torch.equal(value, stored.to(torch.float64)), (case.name, name)


# ---- expectations

def mean_loss(model, rows, labels):
    return F.cross_entropy(ref.logits_of(model, rows), torch.tensor(labels))


def forward(case, model, rows, labels):
    """Expectations of one forward (and backward) pass over the rows -> (tensors in model precision, numbers)."""
    if isinstance(model, BertModel):
        with torch.no_grad():
            hidden, pooled = ref.encoder_output(model, rows)
        tensors = {"last_hidden_state": hidden}
        if pooled is not None:
            tensors["pooled"] = pooled
        return tensors, {}

    with torch.no_grad():
        hidden, pooled = ref.encoder_output(model.bert, rows)
    model.zero_grad()
    logits = ref.logits_of(model, rows)
    losses = F.cross_entropy(logits, torch.tensor(labels), reduction="none")
    losses.mean().backward()
    tensors = {"last_hidden_state": hidden, "pooled": pooled, "logits": logits.detach(), "losses": losses.detach()}
    numbers = {
        "logits": logits.tolist(),
        "probabilities": logits.softmax(-1).tolist(),
        "losses": losses.tolist(),
        "mean_loss": losses.mean().item(),
    }
    if case.gradients:
        gradients = {name: p.grad for name, p in model.named_parameters()}
        tensors.update({"grad." + name: g for name, g in gradients.items()})
        numbers["grad_norm"] = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt().item()
    return tensors, numbers


def check_padding(model, rows):
    """A row alone gives what it gives in the padded batch, so ragged batches can be held against this."""
    encoder = getattr(model, "bert", model)
    with torch.no_grad():
        together, _ = ref.encoder_output(encoder, rows)
        alone = torch.cat([ref.encoder_output(encoder, [row])[0] for row in rows])
    assert (together - alone).abs().max() < (1e-12 if together.dtype == torch.float64 else 1e-4)


def update_order(case, count, updates):
    """(updates, BATCH) row numbers: one seeded permutation of the rows, walked round and round."""
    permutation = torch.randperm(count, generator=torch.Generator().manual_seed(case.seed + 2000)).tolist()
    return [[permutation[(BATCH * u + j) % count] for j in range(BATCH)] for u in range(updates)]


def trace(case, model, rows, labels):
    """Train in place -> (final weights, numbers)."""
    updates = 20 if case.trace == "adamw" else 10
    order = update_order(case, len(rows), updates)

    def loss_of(chosen):
        return mean_loss(model, [rows[r] for r in chosen], [labels[r] for r in chosen])

    named = list(model.named_parameters())
    if case.trace == "adamw":
        rates = ref.linear_schedule(2e-3, updates)
        optimiser = ref.adamw(named, rates[0], weight_decay=0.01, eps=case.adam_eps)
        settings = {"optimiser": "adamw", "peak_lr": 2e-3, "betas": [0.9, 0.999], "eps": case.adam_eps,
                    "weight_decay": 0.01, "clip": 1.0,
                    "no_decay": [name for name, _ in named if not ref.takes_decay(name)]}
        clip = 1.0
    else:
        rates = [0.02] * updates
        optimiser = torch.optim.SGD([p for _, p in named], lr=rates[0], momentum=0.9, foreach=False)
        settings = {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 0.0, "clip": None}
        clip = None
    losses, norms = ref.train([p for _, p in named], optimiser, loss_of, order, rates, clip)
    numbers = {**settings, "batch": BATCH, "updates": updates, "lr": rates, "rows": order, "loss": losses,
               "grad_norm": norms}
    return {f"{case.trace}." + name: p.detach() for name, p in named}, numbers


def expectations(case, folder, rows, labels, dtype):
    model = load_model(case, folder, dtype)
    check_padding(model, rows[:BATCH])
    tensors, numbers = forward(case, model, rows[:BATCH], labels[:BATCH])
    if case.form == "saved_by_transformers":
        with torch.no_grad():
            every = ref.logits_of(model, rows)
        tensors["all_logits"] = every
        numbers["all_logits"] = every.tolist()
        numbers["all_predicted"] = [model.config.id2label[int(i)] for i in every.argmax(-1)]
    if case.trace:
        weights, numbers["trace"] = trace(case, model, rows, labels)
        tensors.update(weights)
    return model, tensors, numbers


def record(case):
    folder = FIXTURES / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = make_model(case, write_tokenizer(case, folder))
    write_model(case, made, folder)
    made = make_model(case, made.config.vocab_size)  # save_pretrained may have narrowed the first one
    check_loaded(case, made, load_model(case, folder, torch.float64))

    texts = sentences(case)
    rows = encode(folder, texts)
    labels = torch.randint(0, case.labels, (len(rows),),
                           generator=torch.Generator().manual_seed(case.seed + 3000)).tolist()
    _, tensors, numbers = expectations(case, folder, rows, labels, torch.float64)

    stored = {name: ref.f32(value) for name, value in tensors.items()}
    stored["ids"] = ref.i32([i for ids, _ in rows for i in ids])
    stored["types"] = ref.i32([t for _, types in rows for t in types])
    stored["lengths"] = ref.i32([len(ids) for ids, _ in rows])
    stored["labels"] = ref.i32(labels)
    ref.write_tensors(folder / "expect.safetensors", stored)
    ref.write_json(folder / "expect.json", {
        "case": case.name,
        "about": case.about,
        "recorded_with": {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
        "batch_rows": BATCH,
        "rows": [{"text": text, **({"pair": pair} if pair else {}), "label": label, "length": len(ids)}
                 for (text, pair), label, (ids, _) in zip(texts, labels, rows)],
        **numbers,
    })
    for file in folder.iterdir():
        file.chmod(0o644)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{case.name:22s} {size / 1000:6.1f} kB, rows of {min(len(i) for i, _ in rows)} to"
          f" {max(len(i) for i, _ in rows)} tokens")
    if case.trace:
        print("   loss", [round(v, 3) for v in numbers["trace"]["loss"]])
        print("   gradient norm", [round(v, 2) for v in numbers["trace"]["grad_norm"]])
    return folder, rows, labels, tensors, numbers


def compare_float32(case, folder, rows, labels, tensors, numbers):
    """The largest absolute difference of a float32 run, by kind of expectation: what a tolerance must exceed."""
    _, single, single_numbers = expectations(case, folder, rows, labels, torch.float32)
    worst = {}
    for name, value in tensors.items():
        kind = name.split(".")[0]
        if name.endswith("key.bias"):
            kind += " of key.bias"  # no effect on the loss, so its gradient is rounding only
        worst[kind] = max(worst.get(kind, 0.0), (single[name].double() - value).abs().max().item())
    if case.trace:
        for key in ("loss", "grad_norm"):
            pairs = zip(single_numbers["trace"][key], numbers["trace"][key])
            worst["trace " + key] = max(abs(a - b) for a, b in pairs)
    print("   float32 differs by", {k: float(f"{v:.1e}") for k, v in worst.items()})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", choices=[c.name for c in CASES])
    parser.add_argument("--saved-by-transformers", action="store_true")
    parser.add_argument("--float32", action="store_true")
    args = parser.parse_args()
    only = list(args.only or [])
    if args.saved_by_transformers:
        only.append("saved_by_transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for case in CASES:
        if only and case.name not in only:
            continue
        recorded = record(case)
        if args.float32:
            compare_float32(case, *recorded)


if __name__ == "__main__":
    main()

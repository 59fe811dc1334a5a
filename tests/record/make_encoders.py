#!/usr/bin/env python3
# tests/record/make_encoders.py - tiny random encoders as users meet them: with published tokenizers and another task's head.
#
#   make_encoders.py TOKENIZERS OUT
#
# TOKENIZERS holds folders of bert-base-uncased, roberta-base and t5-small. OUT gets distilbert (vocab.txt, a question-answering
# head), roberta (vocab.json and merges.txt, a masked-LM head, pytorch_model.bin), xlm_roberta (t5's Unigram pieces in XLM-R's order and
# template, a masked-LM head) and electra (tokenizer.json, the discriminator's head). The first positions are few, so that texts are cut and windowed.
import json
import shutil
import sys
from pathlib import Path

import torch
import transformers

STD, POSITIONS = 0.1, 96
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
ROBERTA = {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "layer_norm_eps": 1e-5,
           "max_position_embeddings": POSITIONS + 2}


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def save(folder, cls, pickled=False, **config):
    """A model of random weights; torch's own file where `pickled`."""
    kind = getattr(transformers, cls)
    torch.manual_seed(len(folder.name))
    model = kind(kind.config_class(initializer_range=STD, **config)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" not in name.lower():
                p.normal_(0, STD)
    model.tie_weights()
    model.save_pretrained(folder)
    if pickled:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def distilbert(folder, tokenizers):
    shutil.copy(tokenizers / "bert-base-uncased" / "vocab.txt", folder / "vocab.txt")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": True,
                                                  "model_max_length": POSITIONS})
    save(folder, "DistilBertForQuestionAnswering", vocab_size=lines(folder / "vocab.txt"), dim=32, n_layers=2, n_heads=4,
         hidden_dim=64, max_position_embeddings=POSITIONS)


def electra(folder, tokenizers):
    tok = transformers.BertTokenizerFast(str(tokenizers / "bert-base-uncased" / "vocab.txt"), do_lower_case=True,
                                         model_max_length=POSITIONS)
    tok.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    write_json(folder / "tokenizer_config.json", {**config, "tokenizer_class": "ElectraTokenizer"})
    save(folder, "ElectraForPreTraining", vocab_size=len(tok), embedding_size=16, max_position_embeddings=POSITIONS, **SIZES)


def roberta(folder, tokenizers):
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(tokenizers / "roberta-base" / name, folder / name)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "RobertaTokenizer", "model_max_length": POSITIONS,
                                                  "add_prefix_space": False})
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    save(folder, "RobertaForMaskedLM", pickled=True, vocab_size=len(vocab), **ROBERTA, **SIZES)


def xlm_roberta(folder, tokenizers):
    t5 = json.loads((tokenizers / "t5-small" / "tokenizer.json").read_text(encoding="utf-8"))
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [p for p in t5["model"]["vocab"] if p[0] not in special and not p[0].startswith("<extra_id")]
    vocab = [[s, 0.0] for s in special] + pieces + [["<mask>", 0.0]]
    ids = {"<s>": 0, "</s>": 2}

    def template(*parts):
        return [{"SpecialToken" if p in ids else "Sequence": {"id": p, "type_id": 0}} for p in parts]

    made = {**t5, "added_tokens": [{"id": [v[0] for v in vocab].index(s), "content": s, "single_word": False, "rstrip": False,
                                    "lstrip": s == "<mask>", "normalized": False, "special": True} for s in [*special, "<mask>"]],
            "post_processor": {"type": "TemplateProcessing", "single": template("<s>", "A", "</s>"),
                               "pair": template("<s>", "A", "</s>", "</s>", "B", "</s>"),
                               "special_tokens": {s: {"id": s, "ids": [i], "tokens": [s]} for s, i in ids.items()}},
            "model": {**t5["model"], "unk_id": 3, "vocab": vocab}}
    made["truncation"] = made["padding"] = None
    write_json(folder / "tokenizer.json", made)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": POSITIONS, "cls_token": "<s>",
                                                  "bos_token": "<s>", "sep_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>",
                                                  "unk_token": "<unk>", "mask_token": "<mask>"})
    save(folder, "XLMRobertaForMaskedLM", vocab_size=len(vocab), **ROBERTA, **SIZES)


def main(tokenizers, out):
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for make in (distilbert, electra, roberta, xlm_roberta):
        folder = Path(out) / make.__name__
        folder.mkdir(parents=True)
        make(folder, Path(tokenizers))


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(__doc__ or "make_encoders.py TOKENIZERS OUT")

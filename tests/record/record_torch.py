#!/usr/bin/env python3
# tests/record/record_torch.py - records tests/fixtures/torch/: files by torch.save in its forms, what is in them as
# safetensors, hostile files, and a model directory in one file, in shards and in the form before PyTorch 1.6.
#
# The model is tests/fixtures/encoders/roberta_masked_lm (record_encoders.py). README.md beside this file says more.
import collections
import json
import os
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import RobertaForMaskedLM

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FOLDER, MODEL = FIXTURES / "torch", FIXTURES / "encoders" / "roberta_masked_lm"


def state():
    """Names, dtypes, shapes and strides of many kinds; two tensors share a storage."""
    generator = torch.Generator().manual_seed(51)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    tied = draw(5, 3)
    out = collections.OrderedDict()
    out["embeddings.weight"] = tied
    out["decoder.weight"] = tied
    out["half"], out["bfloat"], out["double"] = draw(3, 2).half(), draw(7).bfloat16(), draw(2, 2).double()
    out["position_ids"], out["int"], out["byte"] = torch.arange(6).unsqueeze(0), torch.arange(3).int(), torch.arange(4).byte()
    out["turned"], out["part"], out["every.other"] = draw(4, 3).t(), draw(6, 4)[2:4], draw(3, 8)[:, ::2]
    out["number"], out["empty"] = draw(), draw(0, 3)
    out["parameter"] = torch.nn.Parameter(draw(2, 3))
    out["name with ä"] = draw(1, 1, 2, 3)
    out._metadata = collections.OrderedDict([("", {"version": 1}), ("embeddings", {"version": 1})])
    return out


class Hostile:
    def __init__(self, call, *arguments):
        self.how = (call, arguments)

    def __reduce__(self):
        return self.how


def save(value, name, **options):
    torch.save(value, FOLDER / name, **options)


def write_files():
    values = state()
    save(values, "zip.bin")
    save(values, "protocol4.bin", pickle_protocol=4)
    save(values, "legacy.bin", _use_new_zipfile_serialization=False)
    save_file({k: v.detach().clone().contiguous() for k, v in values.items()}, FOLDER / "expect.safetensors")
    save({"epoch": 3, "model": values}, "run.bin")
    for form in (True, False):
        name = "zip" if form else "legacy"
        save({"w": torch.zeros(1), "x": Hostile(os.system, "true")}, f"system_{name}.bin", _use_new_zipfile_serialization=form)
    save({"x": Hostile(eval, "1")}, "eval.bin")
    save(torch.nn.Linear(1, 1), "module.bin")


def write_model(name, write):
    folder = FOLDER / name
    folder.mkdir()
    for file in ("config.json", "vocab.txt", "tokenizer_config.json"):
        shutil.copy(MODEL / file, folder)
    values = RobertaForMaskedLM.from_pretrained(MODEL).state_dict()
    values["roberta.embeddings.position_ids"] = torch.arange(24).unsqueeze(0)
    write(folder, values)


def shards(folder, values):
    names = sorted(values)
    files = [f"pytorch_model-0000{k + 1}-of-00002.bin" for k in range(2)]
    where = {name: files[k % 2] for k, name in enumerate(names)}
    for file in files:
        torch.save({name: values[name].clone() for name in names if where[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}, indent=1) + "\n")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    write_files()
    write_model("one", lambda folder, values: torch.save(values, folder / "pytorch_model.bin"))
    write_model("legacy", lambda folder, values: torch.save(values, folder / "pytorch_model.bin",
                                                            _use_new_zipfile_serialization=False))
    write_model("shards", shards)
    for file in FOLDER.rglob("*"):
        if file.is_file():
            file.chmod(0o644)
    seeds = FIXTURES.parent / "fuzz" / "corpus" / "torch_file"
    seeds.mkdir(parents=True, exist_ok=True)
    for name in ("zip.bin", "protocol4.bin", "legacy.bin"):
        shutil.copy(FOLDER / name, seeds)
    print(sum(f.stat().st_size for f in FOLDER.rglob("*") if f.is_file()), "bytes;", len(load_file(FOLDER / "expect.safetensors")))


main()

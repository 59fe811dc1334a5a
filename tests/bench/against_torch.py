#!/usr/bin/env python3
"""ftpipe and PyTorch side by side on this machine: the table in README.md.

    make && PYTHON tests/bench/against_torch.py [ROW ...] [--rounds 5] [--updates 6]

PYTHON has torch and transformers. For each row PyTorch's best setting is looked for first (attention eager or sdpa, compiled
or not, batches grouped by length or not, float32 products computed in bf16 where that is asked), then the two sides take
turns, and medians are printed with their ratio. Both get the same lengths (SST-2's from tests/bench/sst2_lengths.txt), batch,
dropout and number of threads, and neither gets OPENBLAS_* of the environment. The machine should have nothing else to do.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SST2 = os.path.join(HERE, "sst2_lengths.txt")
FTPIPE = os.environ.get("FTPIPE", os.path.join(HERE, "../../build/gcc/ftpipe"))

# name: shape, lengths, batch, precision
ROWS = {
    "minilm-128-f32": ("minilm-l6", "128", 32, "f32"),
    "minilm-sst2-f32": ("minilm-l6", SST2, 32, "f32"),
    "bert-128-f32": ("bert-base", "128", 16, "f32"),
    "minilm-128-bf16": ("minilm-l6", "128", 32, "bf16"),
    "minilm-sst2-bf16": ("minilm-l6", SST2, 32, "bf16"),
    "minilm-384-bf16": ("minilm-l6", "384", 12, "bf16"),
    "bert-128-bf16": ("bert-base", "128", 16, "bf16"),
}
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}


def updates_of(row, updates):
    """Short rows make short updates: more of them."""
    return updates * 8 if ROWS[row][1] == SST2 else updates


def measured(command):
    out = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    if out.returncode != 0:
        raise SystemExit("%s\n%s" % (" ".join(command), out.stderr[-2000:]))
    return json.loads(out.stdout.strip().splitlines()[-1])


def torch(row, updates, setting):
    shape, lengths, batch, precision = ROWS[row]
    return measured([sys.executable, os.path.join(HERE, "torch_speed.py"), "--shape", shape, "--lengths", lengths, "--batch",
                     str(batch), "--precision", precision, "--updates", str(updates_of(row, updates)), "--warm", "2",
                     *setting])


def ftpipe(row, updates):
    shape, lengths, batch, precision = ROWS[row]
    return measured([FTPIPE, "bench", "--json", "--shape", shape, "--lengths", lengths, "--batch", str(batch), "--precision",
                     precision, "--updates", str(updates_of(row, updates))])


def settings_of(row, compiled):
    _, lengths, _, _ = ROWS[row]
    for attention in ("eager", "sdpa"):
        for group in ([], ["--group"]) if lengths == SST2 else ([],):
            yield ["--attention", attention, *group]
    if compiled:
        yield ["--attention", "sdpa", "--compile", *(["--group"] if lengths == SST2 else [])]


def best_setting(row, updates, compiled):
    found = {}
    for setting in settings_of(row, compiled):
        figures = torch(row, updates, setting)
        found[" ".join(setting)] = figures
        print("    %-40s %7.0f / %7.0f" % (" ".join(setting), figures["train_tok_s"], figures["eval_tok_s"]), flush=True)
    train = max(found, key=lambda s: found[s]["train_tok_s"])
    evaluate = max(found, key=lambda s: found[s]["eval_tok_s"])
    return train.split(), evaluate.split()


def median(runs, what):
    return statistics.median(run[what] for run in runs)


def compare(row, options):
    print(row, flush=True)
    train, evaluate = best_setting(row, max(2, options.updates // 2), options.compile)
    ours, theirs, theirs_eval = [], [], []
    for _ in range(options.rounds):
        ours.append(ftpipe(row, options.updates))
        theirs.append(torch(row, options.updates, train))
        theirs_eval.append(theirs[-1] if train == evaluate else torch(row, options.updates, evaluate))
    a, b = median(ours, "train_tok_s"), median(theirs, "train_tok_s")
    c, d = median(ours, "eval_tok_s"), median(theirs_eval, "eval_tok_s")
    m, n = median(ours, "resident_bytes"), median(theirs, "resident_bytes")
    print("  training   %7.0f %7.0f   %.2f    (PyTorch: %s)" % (a, b, a / b, " ".join(train)))
    print("  evaluation %7.0f %7.0f   %.2f    (PyTorch: %s)" % (c, d, c / d, " ".join(evaluate)))
    print("  memory MiB %7.0f %7.0f   %.2f" % (m / 2**20, n / 2**20, m / n))
    print("  products %.0f GFLOP/s in the same runs; useful share %.2f in training, %.2f in evaluation" % (
        median(ours, "product_flop_s") / 1e9, median(ours, "train_share"), median(ours, "eval_share")), flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("rows", nargs="*", metavar="ROW", help="of " + ", ".join(ROWS))
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--updates", type=int, default=6)
parser.add_argument("--compile", action="store_true", help="also try torch.compile, which takes minutes to begin")
options = parser.parse_args()
for row in options.rows:
    if row not in ROWS:
        parser.error("no row '%s': choose from %s" % (row, ", ".join(ROWS)))
for row in options.rows or ROWS:
    compare(row, options)

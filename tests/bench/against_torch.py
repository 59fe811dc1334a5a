#!/usr/bin/env python3
"""ftpipe and PyTorch side by side on this machine: the table in README.md.

    make && tests/bench/against_torch.py --torch PYTHON ROW

PYTHON has torch and transformers. PyTorch's best settings are looked for first, for training and for evaluation (attention
eager, sdpa, or sdpa compiled; batches grouped by length or not; always with fused AdamW), then the two sides take turns five
times, and a line of a Markdown table is printed: medians, their ratios, and what share of the rate of matrix products in the
same runs was useful work. What is measured on the way goes to standard error. Both get the same lengths (SST-2's from
tests/bench/sst2_lengths.txt), batch, dropout and number of threads, and neither gets OPENBLAS_* of the environment. The
machine should have nothing else to do. A row takes about four minutes; `--head` prints the head of the table.
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

# name: title, shape, lengths, batch, precision, updates of one measurement (fewer where each takes seconds)
ROWS = {
    "minilm-128-f32": ("MiniLM-L6, 128 tokens, batch 32", "minilm-l6", "128", 32, "f32", 4),
    "minilm-sst2-f32": ("MiniLM-L6, lengths of SST-2, batch 32", "minilm-l6", SST2, 32, "f32", 24),
    "bert-128-f32": ("BERT-base, 128 tokens, batch 16", "bert-base", "128", 16, "f32", 2),
    "minilm-128-bf16": ("MiniLM-L6, 128 tokens, batch 32", "minilm-l6", "128", 32, "bf16", 8),
    "minilm-sst2-bf16": ("MiniLM-L6, lengths of SST-2, batch 32", "minilm-l6", SST2, 32, "bf16", 40),
    "minilm-384-bf16": ("MiniLM-L6, 384 tokens, batch 12", "minilm-l6", "384", 12, "bf16", 6),
    "bert-128-bf16": ("BERT-base, 128 tokens, batch 16", "bert-base", "128", 16, "bf16", 3),
}
HEAD = """| | | training: tokens/s | PyTorch | ratio | evaluation: tokens/s | PyTorch | ratio | memory, MiB | PyTorch | ratio | of the products' rate |
|---|---|---|---|---|---|---|---|---|---|---|---|"""
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}


def measured(command):
    out = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    if out.returncode != 0:
        raise SystemExit("%s\n%s" % (" ".join(command), out.stderr[-2000:]))
    return json.loads(out.stdout.strip().splitlines()[-1])


def torch(row, updates, setting):
    _, shape, lengths, batch, precision, _ = ROWS[row]
    return measured([options.torch, os.path.join(HERE, "torch_speed.py"), "--shape", shape, "--lengths", lengths, "--batch",
                     str(batch), "--precision", precision, "--updates", str(updates), "--warm", "2", *setting])


def ftpipe(row, updates):
    _, shape, lengths, batch, precision, _ = ROWS[row]
    return measured([FTPIPE, "bench", "--json", "--shape", shape, "--lengths", lengths, "--batch", str(batch), "--precision",
                     precision, "--updates", str(updates)])


def settings_of(row):
    grouped = ROWS[row][2] == SST2
    for attention in ("eager", "sdpa"):
        for group in ([], ["--group"]) if grouped else ([],):
            yield ["--attention", attention, *group]
    if not options.no_compile:
        yield ["--attention", "sdpa", "--compile", *(["--group"] if grouped else [])]


def best_settings(row, updates):
    """PyTorch's best for training and for evaluation."""
    found = {}
    for setting in settings_of(row):
        figures = torch(row, updates, setting)
        found[" ".join(setting)] = figures
        print("    %-40s %7.0f / %7.0f" % (" ".join(setting), figures["train_tok_s"], figures["eval_tok_s"]), file=sys.stderr)
    train = max(found, key=lambda s: found[s]["train_tok_s"])
    evaluate = max(found, key=lambda s: found[s]["eval_tok_s"])
    return train.split(), evaluate.split()


def median(runs, what):
    return statistics.median(run[what] for run in runs)


def named(setting):
    return " ".join(word.lstrip("-") for word in setting if word != "--attention")


def compare(row):
    title, _, _, _, precision, updates = ROWS[row]
    updates = options.updates or updates
    print(row, file=sys.stderr)
    train, evaluate = best_settings(row, max(1, updates // 2))
    ours, theirs, theirs_eval = [], [], []
    for _ in range(options.rounds):
        ours.append(ftpipe(row, updates))
        theirs.append(torch(row, updates, train + (["--only", "train"] if train != evaluate else [])))
        theirs_eval.append(theirs[-1] if train == evaluate else torch(row, updates, evaluate + ["--only", "eval"]))
        print("    %7.0f / %7.0f     PyTorch %7.0f / %7.0f" % (ours[-1]["train_tok_s"], ours[-1]["eval_tok_s"],
              theirs[-1]["train_tok_s"], theirs_eval[-1]["eval_tok_s"]), file=sys.stderr)
    a, b = median(ours, "train_tok_s"), median(theirs, "train_tok_s")
    c, d = median(ours, "eval_tok_s"), median(theirs_eval, "eval_tok_s")
    m, n = median(ours, "resident_bytes") / 2**20, median(theirs, "resident_bytes") / 2**20
    print("| %s | %s | %.0f | %.0f (%s) | %.2f | %.0f | %.0f (%s) | %.2f | %.0f | %.0f | %.2f | %.2f of %.0f GFLOP/s |" % (
        title, precision, a, b, named(train), a / b, c, d, named(evaluate), c / d, m, n, m / n, median(ours, "train_share"),
        median(ours, "product_flop_s") / 1e9), flush=True)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("rows", nargs="*", metavar="ROW", help="of " + ", ".join(ROWS))
parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="the one that has torch and transformers")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--updates", type=int, help="of one measurement, instead of the row's own")
parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes a minute to begin")
parser.add_argument("--head", action="store_true", help="print the head of the table first")
options = parser.parse_args()
for row in options.rows:
    if row not in ROWS:
        parser.error("no row '%s': choose from %s" % (row, ", ".join(ROWS)))
if options.head:
    print(HEAD, flush=True)
for row in options.rows or ROWS:
    compare(row)

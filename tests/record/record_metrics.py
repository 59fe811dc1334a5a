#!/usr/bin/env python3
# tests/record/record_metrics.py - records tests/fixtures/metrics/*.json: classification metrics by scikit-learn.
#
# `predicted` is the class of the largest probability and, at a tie, the smallest class.
import random
import warnings
from pathlib import Path

import sklearn
from sklearn import metrics

import reference as ref

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "metrics"


def expectations(classes, gold, predicted, probabilities):
    labels = list(range(classes))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        gold, predicted, labels=labels, zero_division=0)
    seen = sorted(set(gold) | set(predicted))
    return {
        "accuracy": float(metrics.accuracy_score(gold, predicted)),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "macro_f1": float(metrics.f1_score(gold, predicted, labels=labels, average="macro", zero_division=0)),
        "macro_f1_seen": float(metrics.f1_score(gold, predicted, labels=seen, average="macro", zero_division=0)),
        "mcc": float(metrics.matthews_corrcoef(gold, predicted)),
        "confusion": metrics.confusion_matrix(gold, predicted, labels=labels).tolist(),
        "log_loss": float(metrics.log_loss(gold, probabilities, labels=labels)),
    }


def largest(row):
    return row.index(max(row))


def write(name, about, classes, gold, probabilities):
    predicted = [largest(row) for row in probabilities]
    ref.write_json(FIXTURES / f"{name}.json", {
        "about": about,
        "recorded_with": {"scikit-learn": sklearn.__version__},
        "classes": classes,
        "gold": gold,
        "predicted": predicted,
        "probabilities": probabilities,
        "expect": expectations(classes, gold, predicted, probabilities),
    })
    print(f"{name}: {len(gold)} rows of {classes} classes")


def sixteenths(rng, classes):
    """Probabilities that are multiples of 1/16, none zero: exact in binary, and ties are frequent."""
    parts = [1] * classes
    for _ in range(16 - classes):
        parts[rng.randrange(classes)] += 1
    return [part / 16 for part in parts]


def drawn(seed, rows, classes, skill, favoured=None, never=()):
    """Seeded gold labels and probabilities that lean towards gold (or `favoured`) by `skill`."""
    rng = random.Random(seed)
    gold, probabilities = [], []
    for _ in range(rows):
        label = rng.randrange(classes)
        weights = [rng.random() + 0.05 for _ in range(classes)]
        weights[label if favoured is None else favoured] += skill
        for absent in never:
            weights[absent] = 0.01
        total = sum(weights)
        gold.append(label)
        probabilities.append([w / total for w in weights])
    return gold, probabilities


def main():
    warnings.simplefilter("ignore")  # scikit-learn warns of the very cases that are recorded here
    FIXTURES.mkdir(parents=True, exist_ok=True)

    write("two_classes", "a usual binary result", 2, *drawn(1, 60, 2, 0.4))
    write("three_classes", "a usual result of three classes", 3, *drawn(2, 60, 3, 0.6))
    write("five_classes", "a usual result of five classes", 5, *drawn(3, 60, 5, 0.8))
    write("class_never_predicted", "class 2 of 4 is in gold and never predicted", 4,
          *drawn(4, 40, 4, 0.7, never=(2,)))
    write("one_class_predicted", "every row is given class 1 of 3", 3, *drawn(5, 24, 3, 9.0, favoured=1))

    gold, probabilities = drawn(6, 30, 3, 0.7)
    write("class_missing_in_gold", "class 2 of 3 is predicted and never gold", 3, [g % 2 for g in gold], probabilities)
    gold, probabilities = drawn(7, 30, 5, 1.5, never=(1, 3))
    write("classes_missing_in_both", "classes 1 and 3 of 5 are neither gold nor predicted", 5,
          [{1: 0, 3: 4}.get(g, g) for g in gold], probabilities)
    _, probabilities = drawn(8, 12, 2, 0.0)
    write("one_class_in_gold", "every gold label is class 0", 2, [0] * 12, probabilities)

    rng = random.Random(9)
    write("ties", "the largest probability is often shared", 4, [rng.randrange(4) for _ in range(40)],
          [sixteenths(rng, 4) for _ in range(40)])
    write("all_right", "every row right", 3, [0, 1, 2, 2, 1, 0],
          [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.0625, 0.0625, 0.875], [0.25, 0.5, 0.25],
           [0.375, 0.3125, 0.3125]])
    write("all_wrong", "every row wrong", 2, [0, 1, 0, 1], [[0.25, 0.75], [0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    write("one_row", "a single row", 3, [2], [[0.2, 0.3, 0.5]])
    write("certain_and_wrong", "probabilities of exactly 0 and 1, one of them wrong: the log loss is clipped", 2,
          [0, 1, 1, 0, 1], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.75, 0.25], [0.5, 0.5]])


if __name__ == "__main__":
    main()

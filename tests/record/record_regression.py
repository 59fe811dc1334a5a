#!/usr/bin/env python3
# tests/record/record_regression.py - records tests/fixtures/metrics_regression.json: correlations and errors by scipy and
# scikit-learn, also of resamples given by how often each row counts.
import random
from pathlib import Path

import scipy
from scipy import stats
from sklearn import metrics

import reference as ref

FILE = Path(__file__).resolve().parent.parent / "fixtures" / "metrics_regression.json"


def expectations(gold, predicted):
    return {"pearson": float(stats.pearsonr(gold, predicted)[0]), "spearman": float(stats.spearmanr(gold, predicted)[0]),
            "mse": float(metrics.mean_squared_error(gold, predicted)),
            "mae": float(metrics.mean_absolute_error(gold, predicted))}


def case(rng, n, levels, noise):
    """Gold values on few levels, so that there are ties; predictions are rounded for the same reason."""
    gold = [rng.randrange(levels) / 4 for _ in range(n)]
    predicted = [round(8 * (g + rng.gauss(0, noise))) / 8 for g in gold]
    drawn = [0] * n
    for _ in range(n):
        drawn[rng.randrange(n)] += 1
    again = [i for i in range(n) for _ in range(drawn[i])]
    return {"gold": gold, "predicted": predicted, "expect": expectations(gold, predicted), "drawn": drawn,
            "resampled": expectations([gold[i] for i in again], [predicted[i] for i in again])}


rng = random.Random(4)
ref.write_json(FILE, {"about": "numbers with ties", "recorded_with": {"scipy": scipy.__version__},
                      "cases": [case(rng, 5, 3, 0.3), case(rng, 40, 21, 1.0), case(rng, 120, 6, 0.2), case(rng, 60, 40, 9.0)]})

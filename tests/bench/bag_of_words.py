#!/usr/bin/env python3
# tests/bench/bag_of_words.py TRAIN.csv VALID.csv TEST.csv - the score of a linear model, for comparison: logistic regression
# on unigrams and bigrams (scikit-learn), its weighting and C chosen on the validation rows. Columns text and label.
import csv
import sys

from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [r["text"] for r in rows], [r["label"] for r in rows]


(train, gold), (valid, valid_gold), (test, test_gold) = map(read, sys.argv[1:4])
best = None
for make in (lambda: CountVectorizer(ngram_range=(1, 2), binary=True),
             lambda: TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)):
    words = make()
    x, v, t = words.fit_transform(train), words.transform(valid), words.transform(test)
    for c in (0.1, 0.3, 1, 3, 10, 30):
        model = LogisticRegression(C=c, max_iter=2000).fit(x, gold)
        score = model.score(v, valid_gold)
        if best is None or score > best[0]:
            best = (score, model.score(t, test_gold))
print(f"{100 * best[1]:.2f}")

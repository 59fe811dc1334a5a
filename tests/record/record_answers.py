#!/usr/bin/env python3
# tests/record/record_answers.py - records tests/fixtures/answers/*.json: what the official scripts of SQuAD give for
# made-up questions.
#
#   record_answers.py --one evaluate-v1.1.py --two evaluate-v2.0.py
#
# The two scripts are read from where they were put; nothing of them is kept. Answers are drawn from few words, cases,
# articles, punctuation and blanks, so that normal forms often agree and are often empty.
import argparse
import importlib.util
import json
import random
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "answers"
PIECES = ["a", "an", "the", "The", "AN", "red", "Red", "lamp", "lamps", "1,000", "a.m.", "U.S.", "-", "–", "'s", "é", "É",
          "É", "Straße", "STRASSE", "ΟΔΟΣ", "οδος", "İzmir", "x_y", "²", "½", "北", "the\u0301", "!", "...", "\"", "“"]
BLANKS = [" ", " ", " ", "  ", "\t", "\n", "\u00a0", "\u2003", "\x1c", ""]
ODD = ["", " ", "the", "The a an", "...", "a", "ªΣ", "Σ", "ΑΣ.", "ΑΣ'Β", "a\u0301", "théâtre", "the–end", "_the_", "the²",
       "a\u200bb", "\ufeffthe x", "🙂 the 🙂", "A\u030angstrom", "ÅNGSTRÖM"]


def load(path):
    spec = importlib.util.spec_from_file_location("official", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def phrase(rnd, most=5):
    out = ""
    for _ in range(rnd.randint(0, most)):
        out += rnd.choice(PIECES) + rnd.choice(BLANKS)
    return out


def near(rnd, answer):
    """A prediction that often shares words with an answer."""
    words = answer.split(" ")
    rnd.shuffle(words)
    kind = rnd.random()
    if kind < 0.35:
        return answer
    if kind < 0.7:
        return " ".join(words[:rnd.randint(0, len(words))] + [rnd.choice(PIECES)])
    return phrase(rnd) if kind < 0.95 else ""


def questions(rnd, n, share_without):
    gold, predicted, no_answer = [], {}, {}
    for k in range(n):
        answers = [] if rnd.random() < share_without else [phrase(rnd) for _ in range(rnd.randint(1, 3))]
        gold.append({"id": f"q{k}", "answers": answers})
        predicted[f"q{k}"] = near(rnd, rnd.choice(answers)) if answers else rnd.choice(["", "", " ", "red lamp", phrase(rnd)])
        no_answer[f"q{k}"] = (k * 37 % 101 + 1) / 103 if answers else (k * 37 % 101 + 60) / 170
    return gold, predicted, no_answer


def dataset(gold):
    qas = [{"id": q["id"], "answers": [{"text": a} for a in q["answers"]]} for q in gold]
    return [{"paragraphs": [{"qas": qas}]}]


def by_one(one, gold, predicted):
    rows = []
    for q in gold:
        p = predicted[q["id"]]
        rows.append([int(one.metric_max_over_ground_truths(one.exact_match_score, p, q["answers"])),
                     one.metric_max_over_ground_truths(one.f1_score, p, q["answers"])])
    return {"rows": rows, "all": one.evaluate(dataset(gold), predicted)}


def by_two(two, gold, predicted, no_answer, threshold):
    data = dataset(gold)
    has = two.make_qid_to_has_ans(data)
    exact, f1 = two.get_raw_scores(data, predicted)
    out = {"rows": [[exact[q["id"]], f1[q["id"]]] for q in gold], "threshold": threshold}
    cut_exact = two.apply_no_ans_threshold(exact, no_answer, has, threshold)
    cut_f1 = two.apply_no_ans_threshold(f1, no_answer, has, threshold)
    out["all"] = two.make_eval_dict(cut_exact, cut_f1)
    out["has_answer"] = two.make_eval_dict(cut_exact, cut_f1, [k for k in has if has[k]])
    out["no_answer"] = two.make_eval_dict(cut_exact, cut_f1, [k for k in has if not has[k]])
    two.find_all_best_thresh(out, predicted, exact, f1, no_answer, has)
    return out


def write(name, value):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=True, indent=1, sort_keys=True) + "\n")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--one", required=True)
    ap.add_argument("--two", required=True)
    a = ap.parse_args()
    one, two = load(a.one), load(a.two)

    rnd = random.Random(11)
    texts = ODD + [phrase(rnd) for _ in range(150)]
    write("normal_forms.json", [[t, one.normalize_answer(t)] for t in texts])

    gold, predicted, _ = questions(rnd, 120, 0.0)
    write("one.json", {"gold": gold, "predicted": predicted, "expect": by_one(one, gold, predicted)})

    gold, predicted, no_answer = questions(rnd, 160, 0.35)
    write("two.json", {"gold": gold, "predicted": predicted, "no_answer": no_answer,
                       "expect": [by_two(two, gold, predicted, no_answer, t) for t in (1.0, 0.5, 0.2)]})


main()

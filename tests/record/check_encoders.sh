#!/bin/sh
# tests/record/check_encoders.sh PYTHON TOKENIZERS [ENCODER...] - whole pipelines on encoders other than BERT, and does transformers
# agree with what is left?
#
# Makes the encoders of make_encoders.py, runs sentiment, ner and qa on the built-in data with each, once undisturbed and once
# killed twice and gone on with (the same weights and scores must come out), and compares predictions with check_export.py and
# check_heads.py. FTPIPE names the program (build/ftpipe); WORK a folder for what is made (a new one).
set -eu

python=$1 tokenizers=$2
shift 2
[ $# -gt 0 ] || set -- distilbert electra roberta xlm_roberta
program=${FTPIPE:-build/ftpipe}
work=${WORK:-$(mktemp -d)}
here=tests/record
[ -d "$work/encoders" ] || "$python" $here/make_encoders.py "$tokenizers" "$work/encoders"
# Contexts that fit one window.
"$python" - pipelines/builtin/questions/test.json > "$work/questions.jsonl" << 'END'
import json
import sys
for article in json.load(open(sys.argv[1], encoding="utf-8"))["data"]:
    for paragraph in article["paragraphs"]:
        for qa in paragraph["qas"]:
            context = " ".join(paragraph["context"].split(" ")[:30])
            print(json.dumps({"id": qa["id"], "question": qa["question"], "context": context}, ensure_ascii=False))
END

# begin NAME PIPELINE ENCODER: a run with a store of its own
begin() {
    FTPIPE_CACHE="$work/$1.cache" exec "$program" run "pipelines/$2.lua" --quiet --checkpoint 0 --out "$work/$1" \
        --set model="$work/encoders/$3" --set head_epochs=1 --set epochs=5 --set head_lr=1e-2 --set lr=3e-3
}
# killed_after NAME PIPELINE ENCODER UPDATES: begun, and ended by a signal nobody can answer after so many lines of the log
killed_after() {
    (begin "$1" "$2" "$3") > /dev/null 2>&1 &
    pid=$!
    while [ "$(cat "$work/$1/log.jsonl" 2> /dev/null | wc -l)" -lt "$4" ] && kill -0 $pid 2> /dev/null; do sleep 0.01; done
    kill -9 $pid 2> /dev/null || true
    wait $pid 2> /dev/null || true
    [ ! -e "$work/$1/metrics.json" ] || { echo "$1 was finished before it was killed"; exit 1; }
}
for encoder; do
    for pipeline in sentiment ner qa; do
        run=$encoder.$pipeline
        rm -rf "$work/$run" "$work/$run".*
        (begin "$run" $pipeline "$encoder") > /dev/null
        killed_after "$run.killed" $pipeline "$encoder" 5
        killed_after "$run.killed" $pipeline "$encoder" 30
        (begin "$run.killed" $pipeline "$encoder") > /dev/null
        cmp "$work/$run/model/model.safetensors" "$work/$run.killed/model/model.safetensors"
        cmp "$work/$run/metrics.json" "$work/$run.killed/metrics.json"
        printf '%s: the same after two kills; ' "$run"
        said=$work/$run.jsonl model=$work/$run/model
        case $pipeline in
        sentiment) "$python" $here/check_export.py --dir "$model" --input "$work/$run/predictions.csv" ;;
        ner) "$program" predict "$model" --quiet --input pipelines/builtin/entities/test.txt --format conll --json > "$said"
            "$python" $here/check_heads.py --dir "$model" --input "$said" ;;
        qa) "$program" predict "$model" --quiet --input "$work/questions.jsonl" --json > "$said"
            "$python" $here/check_heads.py --dir "$model" --input "$said" ;;
        esac
    done
done

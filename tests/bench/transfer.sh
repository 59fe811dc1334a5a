#!/bin/sh
# tests/bench/transfer.sh MODEL SST2-DIR OUT.jsonl [SEEDS] - what an encoder transfers: two stages against the same architecture
# from scratch and against a bag of words, on folds of the built-in reviews and on parts of SST-2.
#
# SST2-DIR holds train.csv, dev.csv and test.csv (text,label) of sentences and phrases.csv of the 67k phrases. Each line of
# OUT is one run; the table is printed at the end. A line that is there is not run again. PYTHON (with scikit-learn) scores the
# bag of words, if set. WHAT="two scratch words" chooses what is run, so that several can share the work.
set -eu

model=$1 sst=$2 out=$3 seeds=${4:-5}
ftpipe=${FTPIPE:-build/ftpipe}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$out"
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE

# cell NAME WHAT SEED TRAIN VALID TEST [OPTIONS]
cell()
{
    name=$1 what=$2 seed=$3 train=$4 valid=$5 test=$6
    shift 6
    case " ${WHAT:-two scratch words} " in *" $what "*) ;; *) return 0 ;; esac
    grep -qF "\"cell\":\"$name\",\"what\":\"$what\",\"seed\":$seed," "$out" && return
    if [ "$what" = words ]; then
        [ -n "${PYTHON:-}" ] || return 0
        begin=$(date +%s)
        score=$("$PYTHON" "$here/bag_of_words.py" "$train" "$valid" "$test")
    else
        begin=$(date +%s)
        rm -rf "$work/run"
        "$ftpipe" run "$here/transfer.lua" --quiet --seed "$seed" --set model="$model" --set train="$train" --set valid="$valid" \
            --set test="$test" --out "$work/run" "$@" > /dev/null
        score=$("$ftpipe" lua "$here/accuracy.lua" "$work/run/metrics.json")
    fi
    printf '{"cell":"%s","what":"%s","seed":%s,"score":%s,"seconds":%s}\n' "$name" "$what" "$seed" "$score" \
        $(($(date +%s) - begin)) >> "$out"
}

# from scratch needs more epochs and a higher rate
cells()
{
    name=$1 seed=$2 train=$3 valid=$4 test=$5
    cell "$name" two "$seed" "$train" "$valid" "$test"
    cell "$name" scratch "$seed" "$train" "$valid" "$test" --set scratch=true --set lr=3e-4 --set epochs="${6:-20}"
    cell "$name" words "$seed" "$train" "$valid" "$test"
}

seed=1
while [ "$seed" -le "$seeds" ]; do
    for n in 100 300 1000; do
        "$ftpipe" lua "$here/sample.lua" "$sst/train.csv" "$n" "$seed" > "$work/train.csv"
        "$ftpipe" lua "$here/sample.lua" "$sst/dev.csv" 200 "$seed" > "$work/valid.csv"
        cells "SST-2, $n sentences" "$seed" "$work/train.csv" "$work/valid.csv" "$sst/test.csv" 30
    done
    for fold in 1 2 3 4 5; do
        "$ftpipe" lua "$here/fold.lua" pipelines/builtin/reviews "$fold" "$seed" "$work"
        cells "reviews, fold $fold" "$seed" "$work/fold_train.csv" "$work/fold_valid.csv" "$work/fold_test.csv" 30
    done
    cells "SST-2, 6,920 sentences" "$seed" "$sst/train.csv" "$sst/dev.csv" "$sst/test.csv" 10
    [ "$seed" -gt 1 ] || [ ! -s "$sst/phrases.csv" ] ||
        cell "SST-2, 67k phrases, dev" two 1 "$sst/phrases.csv" "$sst/dev.csv" "$sst/dev.csv" --set epochs=3
    seed=$((seed + 1))
done
"$ftpipe" lua "$here/transfer_table.lua" "$out"

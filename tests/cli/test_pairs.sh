#!/bin/sh
# tests/cli/test_pairs.sh - labels and numbers of pairs of texts, and weights of labels, through the command line.
set -u
export GOMP_SPINCOUNT=5000

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$FTPIPE" lua tests/demo/make.lua "$work" 60 || exit 1
"$FTPIPE" lua tests/demo/pairs.lua "$work/pairs.csv" || exit 1

# check NAME COMMAND...: it succeeds
check() {
    name=$1
    shift
    if "$@" > "$work/said" 2>&1; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
refused() {   # refused NAME PHRASE COMMAND...: a usage or data error that says the phrase
    name=$1 phrase=$2
    shift 2
    "$@" > "$work/said" 2>&1
    if [ $? -eq 2 ] && grep -qF -- "$phrase" "$work/said"; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "FAILED $name:"; cat "$work/said"; fi
}
run() {
    "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/pairs.csv" --set text=premise \
        --set head_epochs=1 --set lr=3e-3 "$@"
}
predict() { "$FTPIPE" predict "$work/run" --quiet "$@"; }

# ---- pairs ----

check "a run over pairs" run --set pair=hypothesis --set epochs=12 --out "$work/run"
check "one text alone does not tell" run --set epochs=3 --out "$work/alone"
check "both do" "$FTPIPE" lua tests/cli/beats.lua "$work/run/metrics.json" "$work/alone/metrics.json" accuracy 0.3
check "predictions have both texts" grep -q '^row,text,pair,gold,predicted,probability' "$work/run/predictions.csv"
check "one pair" sh -c "'$FTPIPE' predict '$work/run' --json 'the lamp is superb.' --pair 'my lamp was flimsy.' | grep -q '\"label\":\"other\"'"
check "a table" predict --input "$work/pairs.csv" --output "$work/out.csv"
check "keeps both" grep -q '^premise,hypothesis,label,score,predicted_label,predicted_score,prob_other,prob_same' "$work/out.csv"
printf '{"premise":"the lamp is superb.","hypothesis":"my lamp was superb."}\n' > "$work/in.jsonl"
check "JSON Lines" sh -c "'$FTPIPE' predict '$work/run' --quiet --input '$work/in.jsonl' | grep -q '\"label\":\"same\"'"
refused "no second text" "labels pairs of texts" predict "the lamp is superb."
refused "a second text for two" "--pair TEXT goes with one text" predict a b --pair c
refused "no column of second texts" "hypothesis" sh -c "printf '{\"premise\":\"x\"}\n' | '$FTPIPE' predict '$work/run' --quiet --input -"
refused "lines of text" "have no second text" sh -c "echo x | '$FTPIPE' predict '$work/run' --quiet --input -"
printf 'premise,hypothesis,label\na,b,same\na,,same\n' > "$work/bad.csv"
refused "a row without second text" "bad.csv:3: the second text is empty" "$FTPIPE" run pipelines/sentiment.lua --quiet \
    --set model="$work/encoder" --set data="$work/bad.csv" --set text=premise --set pair=hypothesis --out "$work/bad"

# ---- numbers ----

number() {
    "$FTPIPE" run pipelines/similarity.lua --quiet --set model="$work/encoder" --set text=premise --set pair=hypothesis --set lr=3e-3 \
        --set head_epochs=1 --set epochs=12 "$@"
}
check "numbers of pairs" number --set data="$work/pairs.csv" --set control=true --out "$work/number"
check "are learnt" "$FTPIPE" lua tests/real/at_least.lua "$work/number/metrics.json" pearson 0.95
check "config.json says so" grep -q '"id2label":{"0":"score"}.*"problem_type":"regression"' "$work/number/model/config.json"
check "one number" sh -c "'$FTPIPE' predict '$work/number' --json 'the lamp is superb.' --pair 'my lamp was flimsy.' | grep -q '\"score\":-0\.'"
check "a column of numbers" sh -c "'$FTPIPE' predict '$work/number' --quiet --input '$work/pairs.csv' | grep -q '^premise,hypothesis,label,score,predicted_score'"
sed '3s/,[-0-9.]*$/,many/' "$work/pairs.csv" > "$work/bad.csv"
refused "a label that is no number" "bad.csv:3: the label 'many' is no number" number --set data="$work/bad.csv" --out "$work/bad"

# ---- three labels ----

{
    echo text,label
    for thing in kettle lamp backpack keyboard blender tent chair radio camera jacket; do
        for word in superb sturdy lovely quick bright excellent; do echo "the $thing is $word.,pos"; done
        for word in flimsy broken noisy slow cheap dreadful; do echo "the $thing is $word.,neg"; done
        for word in handle battery fabric button cable size; do echo "bought a $thing for the $word.,none"; done
    done
} > "$work/three.csv"
three() {
    "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/three.csv" --set head_epochs=1 \
        --set epochs=8 --set lr=3e-3 "$@"
}
check "three labels" three --out "$work/three"
check "are learnt" "$FTPIPE" lua tests/real/at_least.lua "$work/three/metrics.json" accuracy 0.9
check "config.json has them" grep -q '"id2label":{"0":"neg","1":"none","2":"pos"}.*"problem_type":"single_label_classification"' "$work/three/model/config.json"
check "so has the confusion" grep -q '"confusion":\[\[[0-9]*,[0-9]*,[0-9]*\],\[[0-9]*,[0-9]*,[0-9]*\],\[[0-9]*,[0-9]*,[0-9]*\]\]' "$work/three/metrics.json"
check "one text" sh -c "'$FTPIPE' predict '$work/three' --json 'bought a lamp for the handle.' | grep -q '\"label\":\"none\".*\"neg\":.*\"none\":.*\"pos\":'"
check "the rows of the run" "$FTPIPE" predict "$work/three" --quiet --input "$work/three/predictions.csv" --text text --output "$work/three.jsonl"
check "are predicted alike" "$FTPIPE" lua tests/cli/same_predictions.lua "$work/three/predictions.csv" "$work/three.jsonl"
check "smoothed labels" three --set label_smoothing=0.4 --out "$work/smooth"
check "are learnt as well" "$FTPIPE" lua tests/real/at_least.lua "$work/smooth/metrics.json" accuracy 0.9
check "and said with less certainty" "$FTPIPE" lua tests/cli/less_certain.lua "$work/smooth/predictions.csv" "$work/three/predictions.csv"

check "the head is kept" three --set model="$work/three/model" --set head=keep --set epochs=1 --out "$work/kept"
check "and scored before as the former run ended" "$FTPIPE" lua tests/cli/same_before.lua "$work/kept/metrics.json" "$work/three/metrics.json"
check "so are numbers" number --set data="$work/pairs.csv" --set model="$work/number/model" --set head=keep --set epochs=1 --out "$work/kept_number"
check "which are scored before too" "$FTPIPE" lua tests/cli/same_before.lua "$work/kept_number/metrics.json" "$work/number/metrics.json"
refused "labels of another model" "tells apart neg, none, pos" "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/three/model" \
    --set data="$work/reviews.csv" --set head=keep --out "$work/none"
refused "a model of another task" "is tuned for regression, not for classification" "$FTPIPE" run pipelines/sentiment.lua --quiet \
    --set model="$work/number/model" --set data="$work/three.csv" --set head=keep --out "$work/none"

# ---- weights ----

label() {
    "$FTPIPE" run pipelines/sentiment.lua --quiet --set model="$work/encoder" --set data="$work/reviews.csv" --set head_epochs=1 \
        --set epochs=3 --set lr=1e-3 "$@"
}
check "without weights" label --out "$work/plain"
check "with weights of 1" label --set class_weights=pos:1,neg:1 --out "$work/ones"
check "the same bits" cmp "$work/plain/model/model.safetensors" "$work/ones/model/model.safetensors"
check "with a weight of 20" label --set class_weights=neg:20 --out "$work/neg"
check "of the other" label --set class_weights=pos:20 --out "$work/pos"
check "the heavy label is found more often" "$FTPIPE" lua tests/cli/beats.lua "$work/neg/metrics.json" "$work/pos/metrics.json" neg
refused "a label that is not there" "there is no label 'poss'; did you mean 'pos'?" label --set class_weights=poss:2 --out "$work/none"
echo "$passed passed, $failed failed"
[ $failed = 0 ]

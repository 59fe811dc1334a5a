#!/bin/sh
# tests/cli/test_plan.sh - what would run and why: plan, why, graph, --dry-run, --force, --until.
set -u

passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export FTPIPE_CACHE="$work/store"
"$FTPIPE" lua tests/demo/make.lua "$work" 120
cp pipelines/sentiment.lua "$work"
cd "$work" || exit 1

check() { name=$1; shift; if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED $name"; fi; }
says() { grep -q -- "$1" out; }
published() { if [ -f store/journal.jsonl ]; then grep -c '"event":"publish"' store/journal.jsonl; else echo 0; fi; }
with() { command=$1; shift; "$FTPIPE" "$command" sentiment.lua --set model=encoder --set data=reviews.csv --set head_epochs=2 \
    --set epochs=2 "$@" > out 2> message; }
state() { awk -v step="$1" '$1 == step { getline; sub(/^ +/, ""); print; exit }' out; }

with plan --set lr=2e-3
check "before the first run everything runs" says "^6 of 8 steps run"
check "a new step is new" test "$(state read)" = "run: new"
check "what follows waits for it" test "$(state split)" = "run: after read"
check "plan stores nothing" test ! -e store/steps
with run --dry-run --set lr=2e-3
check "a dry run says the same" says "^6 of 8 steps run"
check "and runs nothing" test ! -e runs
with run --dry-run --json --set lr=2e-3
check "and says it as JSON" says '"id":"tuned",.*"kind":"finetune",.*"state":"run"'
check "with what it takes" says '"guessed":true,.*"memory":[0-9][0-9]*'
with run --json
check "which a run does not" grep -q -- "--json goes with --dry-run" message
with run --quiet --set lr=2e-3
with plan --set lr=2e-3
check "after the run nothing does" says "^nothing to run"
check "a hit is a hit" test "$(state tuned)" = "hit"
check "what is never stored is told" test "$(state replace_head)" = "computed when needed"
with plan --set lr=2e-3 --set data=reviws.csv
check "a file that is not there is told, with what it may be" test "$(state read)" = "run: there is no file reviws.csv; did you mean reviews.csv?"
with run --set data=reviws.csv --out none
check "also by a run" grep -q "did you mean reviews.csv?" message
with run --set model=encodr --out none
check "a folder that is not there" grep -q "there is no directory encodr; did you mean encoder?" message
"$FTPIPE" plan sentimnt.lua > out 2> message
check "a pipeline file that is not there" grep -q "did you mean sentiment.lua?" message
with plan --set lr=1e-3
check "plan tells the changed field" test "$(state tuned)" = "run: lr 0.002 -> 0.001"
check "what does not depend on it is a hit" test "$(state head)" = "hit"
check "what depends on it follows" test "$(state evaluate)" = "run: after tuned"
check "plan counts what runs" says "^2 of 8 steps run"

why() { "$FTPIPE" why sentiment.lua "$@" --set model=encoder --set data=reviews.csv --set head_epochs=2 > out 2> message; }
why tuned --set lr=1e-3 --set epochs=3
check "why names each field, old and new: lr" says "params.lr  *0.002 -> 0.001"
check "why names each field, old and new: epochs" says "params.epochs  *2 -> 3"
check "why says with what it compared" says "compared with runs/sentiment/1"
why tuned --set lr=2e-3 --set epochs=2
check "why of a hit" says "its result is in the store"
why split --seed 4 --json
check "why as JSON" says '"changes":\[{"field":"seed","new":4,"old":1}\]'
why tunned
check "a misspelt step" grep -q "did you mean 'tuned'" message
rm -rf "store/steps"
why head --set lr=2e-3 --set epochs=2
check "why of a result that is gone" says "because: after tokenize"
why read --set lr=2e-3 --set epochs=2
check "why of the first one that is gone" says "its result is not in the store any more"

rm -rf runs
with run --quiet --set lr=2e-3
before=$(published)
with run --quiet --set lr=2e-3 --until tokenize
check "--until of what is there computes nothing" test "$(published)" = "$before"
with plan --set lr=2e-3 --until tokenize --seed 3
check "--until leaves the rest out" test "$(grep -c '^  [a-z]' out)" = 4
with run --quiet --set lr=2e-3 --until tokenize --seed 3
check "--until runs no more" test "$(published)" = $((before + 2))
with run --quiet --until nowhere
check "--until of no step" grep -q "there is no step 'nowhere'" message
before=$(published)
with plan --set lr=2e-3 --force=tuned
check "plan tells what is forced" test "$(state tuned)" = "run: forced"
with run --quiet --set lr=2e-3 --force=tuned
check "a forced step runs, and what it left was the same" test "$(published)" = $((before + 1))
with run --quiet --set lr=2e-3 --force
check "all steps forced" test "$(published)" = $((before + 7))
check "with the same bits" cmp -s runs/sentiment/1/model/model.safetensors "$(cat out)/model/model.safetensors"
with run --quiet --force=tune
check "a forced step that is not there" grep -q "did you mean 'tuned'" message

with graph
check "graph as text" grep -q "^evaluate  *<- tokenize, head, tuned" out
with graph --format dot
check "graph for Graphviz" grep -q '"tokenize" -> "head";' out
with graph --format mermaid
check "graph for Mermaid" grep -q '^  s[0-9]* --> s[0-9]*$' out
with graph --json
check "graph as JSON" says '"edges":\[\["'

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]

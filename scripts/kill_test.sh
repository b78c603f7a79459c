#!/usr/bin/env bash
# Kills tdds-train and tdds-sweep at random points, 20 times each, restarts them each time, and checks that the final
# results are bit-equal to those of an uninterrupted run: weights, dynamics, accuracies, tables.
#
#   scripts/kill_test.sh [KILLS] [SEED]     default 20 kills and seed 1; takes minutes on two cores
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
kills=${1:-20} RANDOM=${2:-1}

bash scripts/build.sh release tdds-train tdds-sweep
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
common=(--dataset shapes --shapes_train 240 --shapes_test 60 --width 0.0625 --batch-size 40 --learning_rate 0.05
        --checkpoint_minutes 0 --print_freq 0)
train=(build/release/apps/tdds-train "${common[@]}" --epochs 12 --dynamics --resume)
# shellcheck disable=SC2054  # the commas are in lists
sweep=(build/release/apps/tdds-sweep "${common[@]}" --epochs 4 --methods tdds,random,ccs --rates 0.5,0.7 --seeds 1,2
       --subset_batch_size 40)

milliseconds() { date +%s%3N; }

# The results that must be equal: the weights and all numbers except times.
results_of() {  # train|sweep FOLDER
  if [ "$1" = train ]; then
    sha256sum "$2"/model_{best,last}.safetensors "$2"/dynamics.tdds
    sed 's/"seconds": .*//' "$2/result.json"
  else
    sha256sum "$2"/sweep.json "$2"/table.{md,csv} "$2"/seed*/*/{ids.txt,dynamics.tdds} 2>/dev/null
  fi | sed "s|$2||"
}

# Runs the command in FOLDER until it completes, killing it at random points while there are kills left.
run_killed() {  # NAME FOLDER LONGEST_MS COMMAND...
  local name=$1 into=$2 longest=$3 pid code
  shift 3
  while true; do
    "$@" --save_path "$into" >"$folder/out" 2>&1 &
    pid=$!
    if [ "$done_kills" -lt "$kills" ]; then
      sleep "$(awk -v ms=$((RANDOM % longest + 20)) 'BEGIN { print ms / 1000 }')"
      kill -9 "$pid" 2>/dev/null || true
    fi
    code=0
    wait "$pid" 2>/dev/null || code=$?
    [ "$code" != 0 ] || return 0
    if [ "$code" = 137 ]; then
      done_kills=$((done_kills + 1))
    else
      echo "kill_test.sh: tdds-$name ended with $code after $done_kills kills:" >&2
      cat "$folder/out" >&2
      exit 1
    fi
  done
}

test_program() {  # NAME COMMAND...
  local name=$1 start took round=0 done_kills=0
  shift
  start=$(milliseconds)
  "$@" --save_path "$folder/$name" >"$folder/out" 2>&1 || { cat "$folder/out" >&2; exit 1; }
  took=$(($(milliseconds) - start))
  results_of "$name" "$folder/$name" >"$folder/$name.expected"
  while [ "$done_kills" -lt "$kills" ]; do
    round=$((round + 1))
    run_killed "$name" "$folder/$name.$round" $((took / 2)) "$@"
    results_of "$name" "$folder/$name.$round" >"$folder/$name.found"
    if ! diff "$folder/$name.expected" "$folder/$name.found"; then
      echo "kill_test.sh: the results of tdds-$name differ after it was killed and restarted" >&2
      exit 1
    fi
  done
  echo "tdds-$name: killed $done_kills times in $round runs of $took ms; all results are bit-equal to an uninterrupted run"
}

test_program train "${train[@]}"
test_program sweep "${sweep[@]}"

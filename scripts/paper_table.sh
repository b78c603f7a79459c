#!/usr/bin/env bash
# The paper's table on CIFAR-100: TDDS and random at 30, 50, 70, 80 and 90 % pruned, with the loss weighted by the scores and
# without, as many seeds as the time allows. (T, J) of each rate are tdds-sweep's defaults; smaller batches help at high rates.
#
#   scripts/paper_table.sh OUT [--seconds S] [--data DIR] [--seeds 1,2,3] [FLAG...]
#
#   OUT         folder of the two sweeps, OUT/weighted and OUT/unweighted, each with its table.md
#   --seconds   stop cleanly before S seconds have passed; the same command continues
#   --data      folder of CIFAR-100, in any form that tdds-train reads; default ./data
#   FLAG...     passed on to tdds-sweep, for example --width 0.0625 --epochs 12 --device cpu
#
# To continue on another machine, copy OUT without dynamics.tdds, checkpoint.safetensors and the weights: the records and
# scores are enough. A training that was not finished begins again there. Exit code 0: the table is whole; 130: time is up.
set -euo pipefail
. "$(dirname "$0")/usage.sh" any -- "$@"
case ${1:-} in '' | -*) bash "$0" --help >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
out=$1
shift
seconds=0 data=./data seeds=1,2,3
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    --data) data=${2:?--data needs a folder}; shift 2 ;;
    --seeds) seeds=${2:?--seeds needs a list}; shift 2 ;;
    *) break ;;
  esac
done
sweep=${TDDS_PROGRAMS:-build/release/apps}/tdds-sweep
precision=fp32
if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then precision=fp16; fi
deadline=$((SECONDS + seconds - 10))  # a checkpoint is written in less

# A sweep of the seeds so far; each seed is added when the one before is done, so that whole columns come first.
run() {  # NAME SEEDS FLAG...
  local name=$1 upto=$2 left=1000000
  shift 2
  if [ "$seconds" -gt 0 ]; then left=$((deadline - SECONDS)); fi
  if [ "$left" -le 0 ]; then
    echo "paper_table.sh: the time is up; run the same command again to continue"
    exit 130
  fi
  timeout --foreground --signal=INT "$left" "$sweep" --dataset cifar100 --data_path "$data" --methods tdds,random \
    --rates 0.3,0.5,0.7,0.8,0.9 --batch-size 100 --subset_batch_size 128,128,128,64,32 --precision "$precision" --seeds "$upto" --save_path "$out/$name" "$@" || {
    local code=$?
    [ "$code" = 124 ] && code=130
    exit "$code"
  }
}

upto=
for seed in ${seeds//,/ }; do
  upto=${upto:+$upto,}$seed
  run weighted "$upto" "$@"
  run unweighted "$upto" --no_score_weighting "$@"
done
for name in weighted unweighted; do
  echo
  echo "== $name"
  cat "$out/$name/table.md"
done

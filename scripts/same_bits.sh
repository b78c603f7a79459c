#!/usr/bin/env bash
# Runs five command lines with the programs of two builds and compares the files they write, byte by byte: a refactoring
# must not change a result.
#
#   scripts/same_bits.sh BEFORE AFTER     folders of programs, such as build/release/apps; about a minute on two cores
#
# Compares weights, recordings, scores, masks and the tables of a sweep, on the CPU in float32 and bfloat16 and on simt.
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
[ $# = 2 ] || { bash "$0" --help >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OMP_WAIT_POLICY=passive

run_all() {  # PROGRAMS OUT
  local programs=$1 out=$2
  local small=(--dataset shapes --shapes_test 60 --manualSeed 7 --threads 2)
  mkdir "$out"
  "$programs/tdds-train" "${small[@]}" --shapes_train 400 --width 0.25 --epochs 3 --batch-size 32 --dynamics --dynamics_npy \
    --save_path "$out/fp32"
  "$programs/tdds-train" "${small[@]}" --shapes_train 200 --width 0.125 --epochs 2 --batch-size 16 --precision bf16 --dynamics \
    --save_path "$out/bf16"
  "$programs/tdds-train" "${small[@]}" --shapes_train 24 --shapes_test 8 --device simt --width 0.0625 --epochs 1 --batch-size 8 \
    --dynamics --save_path "$out/simt"
  "$programs/tdds-score" --dynamics_path "$out/fp32" --mask_path "$out/masks" --method all --trajectory_len 3 --window_size 3
  "$programs/tdds-sweep" "${small[@]}" --shapes_train 200 --width 0.0625 --epochs 3 --trajectory_len 3 --window_size 3 \
    --methods tdds,aum,random --rates 0.5 --save_path "$out/sweep"
}

run_all "$1" "$folder/before" >"$folder/before.log" 2>&1 || { cat "$folder/before.log" >&2; exit 1; }
run_all "$2" "$folder/after" >"$folder/after.log" 2>&1 || { cat "$folder/after.log" >&2; exit 1; }

# The other files contain times, paths and the commit.
files() { (cd "$1" && find . -name '*.safetensors' ! -name 'checkpoint*' -o -name 'dynamics.tdds' -o -name '*.npy' -o -name '*.csv' | sort); }
files "$folder/before" >"$folder/before.files"
files "$folder/after" >"$folder/after.files"
diff "$folder/before.files" "$folder/after.files" || { echo "same_bits.sh: the two builds write different files" >&2; exit 1; }
differ=0
while read -r file; do
  cmp -s "$folder/before/$file" "$folder/after/$file" || { echo "differs: $file"; differ=1; }
done <"$folder/before.files"
[ $differ = 0 ] || exit 1
echo "$(wc -l <"$folder/before.files") files are equal byte by byte"

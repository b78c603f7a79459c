#!/usr/bin/env bash
# Runs the whole method on images that the program draws itself, in a few minutes on a CPU. Three labels in ten are wrong,
# as in data from the web. A narrow ResNet-18 is trained while its training dynamics are recorded, every image is scored,
# and the network is trained on three subsets of 70 %: without the images with the most suspect labels (AUM), those with
# the highest TDDS scores, and a random one. The wrong labels are known, so the result of AUM can be checked. The official
# weighting of the loss by the scores is off: it acts as a lower learning rate, which is too low for so short a run.
#
#   scripts/demo.sh [FOLDER]     FOLDER: where to write the results, default runs/demo
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
folder=${1:-runs/demo}
epochs=8 window=4 rate=0.3

bash scripts/build.sh release tdds-train tdds-score tdds-train-subset tdds-report
programs=build/release/apps
data=(--dataset shapes --shapes_train 4000 --wrong_label_fraction 0.3)
common=("${data[@]}" --width 0.25 --epochs "$epochs" --batch-size 100 --print_freq 0 --overwrite)
subset=(--subset_rate "$rate" --no_score_weighting)

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

step "1 of 6: train on all images and record the training dynamics"
"$programs/tdds-train" "${common[@]}" --dynamics --save_path "$folder/all"

step "2 of 6: score every image from its dynamics"
"$programs/tdds-score" --dynamics_path "$folder/all" --mask_path "$folder/masks" --method tdds,aum \
  --trajectory_len "$epochs" --window_size "$window" --subset_rate "$rate" --selection bottom
tdds=$folder/masks/data_mask_win${window}_ep$epochs.npy
trusted=$folder/masks/data_mask_aum_bottom_rate$rate.npy

step "3 of 6: train without the 30 % with the most suspect labels"
"$programs/tdds-train-subset" "${common[@]}" "${subset[@]}" --mask_path "$trusted" --save_path "$folder/trusted"

step "4 of 6: train on the 70 % with the highest TDDS scores"
"$programs/tdds-train-subset" "${common[@]}" "${subset[@]}" --mask_path "$tdds" --save_path "$folder/tdds"

step "5 of 6: train on a random 70 %"
"$programs/tdds-train-subset" "${common[@]}" --subset_rate "$rate" --random_subset --save_path "$folder/random"

step "6 of 6: write the report"
"$programs/tdds-report" --dynamics_path "$folder/all" "${data[@]}" --subset_rate "$rate" --output "$folder/report.html"

# Prints a vector of int64 in a .npy file, one number per line: 10 bytes, a header whose length is in bytes 8 and 9, data.
numbers() {
  local header
  header=$(od -An -j 8 -N 2 -t u2 "$1" | tr -d ' ')
  od -An -v -j $((10 + header)) -w8 -t d8 "$1" | tr -d ' '
}
percent_of() {  # FOLDER KEY: a share in result.json, in percent
  awk -F '[:,]' -v key="\"$2\"" 'index($1, key) { printf "%.2f %%", 100 * $2 }' "$1/result.json"
}
row() { printf '%-38s %7s  %14s  %14s\n' "$@"; }
result() { row "$2" "$3" "$(percent_of "$folder/$1" best_test_accuracy)" "$(percent_of "$folder/$1" last_test_accuracy)"; }

all=$(numbers "$tdds" | wc -l)
pruned=$(awk -v n="$all" -v rate="$rate" 'BEGIN { print int(n * rate) }')
kept=$((all - pruned))
step "Result"
row "trained on" images "best accuracy" "last accuracy"
result all "all images" "$all"
result trusted "the 70 % with the least suspect labels" "$kept"
result tdds "the 70 % with the highest TDDS scores" "$kept"
result random "a random 70 %" "$kept"

# A mask lists the pruned samples first.
found=$(awk 'FNR == NR { wrong[$1]; next } $1 in wrong' <(numbers "$folder/all/wrong_label_ids.npy") \
  <(numbers "$trusted" | head -n "$pruned") | wc -l)
wrong=$(numbers "$folder/all/wrong_label_ids.npy" | wc -l)
cat <<END

Of the $pruned images left out as suspect, $found have a wrong label; $wrong labels are wrong in all.
Compare the second row with the last one: that is what leaving them out is worth.
TDDS does not look at labels, so it cannot find wrong ones.

Open the report in a browser: $folder/report.html
END

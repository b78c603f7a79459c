#!/usr/bin/env bash
# The whole method on images that the program draws itself, in a few minutes on a CPU: train a narrow ResNet-18 with
# its training dynamics recorded, score every image, train again on the 70 % with the highest scores and, to compare, on
# a random 70 %. A tenth of the training labels is planted wrong, so the scores can be judged against the truth.
# So short a run cannot afford the official weighting of the loss by the scores, which acts as a lower learning rate.
#
#   scripts/demo.sh [FOLDER]     results go to FOLDER, runs/demo if none is given
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/demo}
epochs=8 window=4 rate=0.3

bash scripts/build.sh release tdds-train tdds-score tdds-train-subset
programs=build/release/apps
common=(--dataset shapes --shapes_train 4000 --width 0.25 --epochs "$epochs" --print_freq 0 --overwrite)

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }

step "1 of 4: train on all images, recording how each one behaves"
"$programs/tdds-train" "${common[@]}" --dynamics --save_path "$folder/all"

step "2 of 4: score every image by its dynamics"
"$programs/tdds-score" --dynamics_path "$folder/all" --mask_path "$folder/masks" \
  --method tdds,aum --trajectory_len "$epochs" --window_size "$window"
mask=$folder/masks/data_mask_win${window}_ep$epochs.npy

step "3 of 4: train on the 70 % with the highest TDDS scores"
"$programs/tdds-train-subset" "${common[@]}" --subset_rate "$rate" --mask_path "$mask" --no_score_weighting \
  --save_path "$folder/tdds"

step "4 of 4: train on a random 70 %"
"$programs/tdds-train-subset" "${common[@]}" --subset_rate "$rate" --random_subset --save_path "$folder/random"

# A vector of int64 in a .npy file, one number a line: 10 bytes, a header whose length bytes 8 and 9 tell, the data.
numbers() {
  local header
  header=$(od -An -j 8 -N 2 -t u2 "$1" | tr -d ' ')
  od -An -v -j $((10 + header)) -w8 -t d8 "$1" | tr -d ' '
}
percent_of() {  # FOLDER KEY: a share in result.json, in percent
  awk -F '[:,]' -v key="\"$2\"" 'index($1, key) { printf "%.2f %%", 100 * $2 }' "$1/result.json"
}
row() { printf '%-34s %7s  %14s  %14s\n' "$@"; }

all=$(numbers "$mask" | wc -l)
kept=$(awk -v n="$all" -v rate="$rate" 'BEGIN { print n - int(n * rate) }')
step "Result"
row "trained on" images "best accuracy" "last accuracy"
row "all images" "$all" "$(percent_of "$folder/all" best_test_accuracy)" "$(percent_of "$folder/all" last_test_accuracy)"
row "the 70 % with the highest scores" "$kept" "$(percent_of "$folder/tdds" best_test_accuracy)" "$(percent_of "$folder/tdds" last_test_accuracy)"
row "a random 70 %" "$kept" "$(percent_of "$folder/random" best_test_accuracy)" "$(percent_of "$folder/random" last_test_accuracy)"

# As many images as wrong labels were planted, from either end of an order.
precision() {  # NAME MASK
  awk -v name="$1" '
    FNR == NR { wrong[$1]; planted++; next }
    { id[++n] = $1 }
    END {
      for (i = 1; i <= planted; i++) { low += id[i] in wrong; high += id[n + 1 - i] in wrong }
      printf "  %-5s %5.1f %% of the %d images with the lowest scores, %5.1f %% of the highest\n", name,
        100 * low / planted, planted, 100 * high / planted
    }' <(numbers "$folder/all/wrong_label_ids.npy") <(numbers "$2")
}
planted=$(numbers "$folder/all/wrong_label_ids.npy" | wc -l)
printf '\n%d of the %d training labels are wrong: 1 in %d of all images. Wrong labels are\n' "$planted" "$all" $((all / planted))
precision tdds "$mask"
precision aum "$folder/masks/data_mask_aum.npy"
echo "TDDS never looks at the label, so it cannot tell a wrong one; AUM, the margin of the label's probability, can."
printf '\nThe curves are in %s/{all,tdds,random}/curve.png\n' "$folder"

#!/usr/bin/env bash
# Starts two programs on the same files, a random time apart, and kills one of them with -9 in a third of the starts.
#
#   scripts/concurrency_test.sh cache|folder [STARTS] [SEED]   default 30 starts and seed 1; takes minutes on two cores
#
# cache   two tdds-train build one cache of images, alternately in memory and on the disk: every run, and a third one that
#         reads the finished cache, records the same as a single run
# folder  two tdds-train with different seeds share one --save_path, the second alternately with --overwrite or --resume:
#         the folder's files are of one seed, and after a resume it has the results of a single run
#
# TDDS_PROGRAMS names a folder of programs to test instead of this build's.
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
what=${1:-} starts=${2:-30} RANDOM=${3:-1}
programs=${TDDS_PROGRAMS:-build/release/apps}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

milliseconds() { date +%s%3N; }
sleep_ms() { sleep "$(awk -v ms="$1" 'BEGIN { print ms / 1000 }')"; }
fail() {  # SENTENCE FILES...
  echo "concurrency_test.sh: $1" >&2
  shift
  cat "$@" >&2
  exit 1
}

# Starts two commands, the second after a random time within LONGEST_MS. If KILLS is 1, kills one of them after another
# random time. Their output is in $folder/{one,two}.out, their exit codes in code_one and code_two.
run_two() {  # LONGEST_MS KILLS COMMAND_ONE COMMAND_TWO   (the commands are names of arrays)
  local -n one=$3 two=$4
  local pids=() victim=$((RANDOM % 2))
  "${one[@]}" >"$folder/one.out" 2>&1 &
  pids+=($!)
  sleep_ms $((RANDOM % $1))
  "${two[@]}" >"$folder/two.out" 2>&1 &
  pids+=($!)
  if [ "$2" = 1 ]; then
    sleep_ms $((RANDOM % $1))
    kill -9 "${pids[$victim]}" 2>/dev/null || kill -9 "${pids[1 - victim]}" 2>/dev/null || true  # it may have ended
  fi
  code_one=0 code_two=0
  wait "${pids[0]}" 2>/dev/null || code_one=$?
  wait "${pids[1]}" 2>/dev/null || code_two=$?
}

build() {
  [ -n "${TDDS_PROGRAMS:-}" ] || bash scripts/build.sh release tdds-train
}

# 400 different PNGs of noise in two classes, and 40 for testing.
make_images() {  # FOLDER
  python3 - "$1" <<'PYTHON'
import pathlib, random, struct, sys, zlib
side, draw = 256, random.Random(1)
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
for split, count in (("train", 200), ("val", 20)):
    for name in ("cat", "dog"):
        path = pathlib.Path(sys.argv[1], split, name)
        path.mkdir(parents=True)
        for i in range(count):
            rows = b"".join(b"\0" + draw.randbytes(3 * side) for _ in range(side))
            (path / f"{i}.png").write_bytes(
                b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))
PYTHON
}

test_cache() {
  build
  make_images "$folder/data"
  local start took i mode killed=0 waited=0
  local train=("$programs/tdds-train" --device cpu --dataset folder --data_path "$folder/data" --image_size 32 --width
               0.03125 --batch-size 50 --epochs 1 --threads 1 --dynamics --overwrite --print_freq 0)
  local -A memory=([memory]=0 [disk]=1e-9)
  recorded() { sha256sum <"$folder/$1/dynamics.tdds"; }
  for mode in memory disk; do
    start=$(milliseconds)
    "${train[@]}" --cache_dir "$folder/alone" --data_memory "${memory[$mode]}" --save_path "$folder/$mode" \
      >"$folder/out" 2>&1 || fail "a single run failed" "$folder/out"
    [ "$mode" = disk ] || took=$(($(milliseconds) - start))
  done
  "${train[@]}" --save_path "$folder/plain" >"$folder/out" 2>&1 || fail "a run without a cache failed" "$folder/out"
  [ "$(recorded plain)" = "$(recorded memory)" ] || fail "the cache of a single run differs from its images"
  cmp "$folder/plain/model_last.safetensors" "$folder/disk/model_last.safetensors" ||
    fail "a run that reads images from the disk differs"
  for ((i = 1; i <= starts; ++i)); do
    mode=memory
    [ $((i % 2)) = 1 ] || mode=disk
    rm -rf "$folder/cache"
    local cached=("${train[@]}" --cache_dir "$folder/cache" --data_memory "${memory[$mode]}" --save_path)
    # shellcheck disable=SC2034  # run_two reads the arrays by name
    local run_one=("${cached[@]}" "$folder/one") run_two=("${cached[@]}" "$folder/two")
    rm -rf "$folder/one" "$folder/two"
    run_two $((took / 2)) $((i % 3 == 0)) run_one run_two
    if [ $((i % 3)) = 0 ] && [ "$code_one" != 137 ] && [ "$code_two" != 137 ]; then
      i=$((i - 1))  # the run ended before the kill
      continue
    fi
    "${cached[@]}" "$folder/third" >"$folder/third.out" 2>&1 || fail "the third run of start $i failed" "$folder/third.out"
    grep -q "400 images of $folder/data/train were taken from .* none decoded" "$folder/third.out" ||
      fail "start $i left an incomplete cache" "$folder"/{one,two,third}.out
    local name code
    for name in one two third; do
      code=0
      [ "$name" = third ] || code=$([ "$name" = one ] && echo "$code_one" || echo "$code_two")
      if [ "$code" = 137 ]; then
        killed=$((killed + 1))
      elif [ "$code" != 0 ]; then
        fail "run $name of start $i ended with $code" "$folder/$name.out"
      else
        [ "$(recorded "$name")" = "$(recorded "$mode")" ] || fail "run $name of start $i read wrong images" "$folder/$name.out"
      fi
    done
    ! grep -q "waiting for process" "$folder"/{one,two}.out || waited=$((waited + 1))
  done
  echo "cache: $starts starts of two processes, $killed processes killed, one waited for the other in $waited;" \
    "all other runs read the right images"
}

# The seeds recorded in the files of a run: one, unless the files are from two runs.
seeds_in() {  # FOLDER
  python3 - "$1" <<'PYTHON'
import json, pathlib, re, struct, sys
folder, seeds = pathlib.Path(sys.argv[1]), set()
if (path := folder / "result.json").exists():
    seeds.add(int(json.loads(path.read_bytes())["run"]["seed"]))
if (path := folder / "dynamics.tdds").exists():
    seeds.add(int(re.search(rb'"seed":\s*(\d+)', path.read_bytes()).group(1)))
if (path := folder / "checkpoint.safetensors").exists():
    data = path.read_bytes()
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    seeds.add(int(json.loads(header["__metadata__"]["identity"])["seed"]))
print(*sorted(seeds))
PYTHON
}

# The results of a run without times.
results_of() {  # FOLDER
  (cd "$1" && sha256sum dynamics.tdds model_last.safetensors && sed 's/"seconds": .*//' result.json)
}

test_folder() {
  build
  local start took i seed seeds code name killed=0 refused=0 ways=("" --overwrite --resume)
  local train=("$programs/tdds-train" --device cpu --dataset shapes --shapes_train 240 --shapes_test 60 --width 0.0625
               --batch-size 40 --learning_rate 0.05 --epochs 12 --threads 1 --dynamics --checkpoint_minutes 0 --print_freq 0)
  local -A alone
  for seed in 1 2; do
    start=$(milliseconds)
    "${train[@]}" --manualSeed "$seed" --save_path "$folder/$seed" >"$folder/out" 2>&1 ||
      fail "a single run failed" "$folder/out"
    took=$(($(milliseconds) - start))
    alone[$seed]=$(results_of "$folder/$seed")
  done
  for ((i = 1; i <= starts; ++i)); do
    rm -rf "$folder/run"
    # shellcheck disable=SC2034
    local run_one=("${train[@]}" --save_path "$folder/run" --manualSeed 1)
    # shellcheck disable=SC2034,SC2206
    local run_two=("${train[@]}" --save_path "$folder/run" --manualSeed 2 ${ways[$((i % 3))]})
    run_two $((took * 2 / 3)) $((3 * killed < i)) run_one run_two
    for name in one two; do
      code=$([ "$name" = one ] && echo "$code_one" || echo "$code_two")
      case $code in
        0) ;;
        137) killed=$((killed + 1)) ;;
        1 | 2) refused=$((refused + 1)) ;;
        *) fail "run $name of start $i ended with $code" "$folder/$name.out" ;;
      esac
    done
    seeds=$(seeds_in "$folder/run")
    [[ $seeds != *" "* ]] || fail "start $i left files of several seeds ($seeds) in one folder" "$folder"/{one,two}.out
    seed=${seeds:-1}
    "${train[@]}" --save_path "$folder/run" --manualSeed "$seed" --resume >"$folder/out" 2>&1 ||
      fail "the folder of start $i cannot be resumed" "$folder/out"
    [ "$(results_of "$folder/run")" = "${alone[$seed]}" ] || fail "the results of start $i differ from a single run" "$folder/out"
  done
  echo "folder: $starts starts of two processes, $killed processes killed, $refused refused; every folder has the files of" \
    "one run, bit-equal to a single run"
}

if ! declare -F "test_$what" >/dev/null; then
  bash "scripts/$(basename "$0")" --help >&2
  exit 2
fi
"test_$what"

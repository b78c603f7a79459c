#!/usr/bin/env bash
# Runs the fuzz targets (tests/fuzz) for all readers of untrusted files, compiled by clang with sanitizers.
#
#   scripts/fuzz.sh [--seconds N]     N seconds for each reader; default 300, half an hour in all
#
# New inputs are kept under build/fuzz/corpus, and the next run continues from them. An input that crashes a reader is saved
# as build/fuzz/crash-*, and the script ends with an error.
set -euo pipefail
. "$(dirname "$0")/usage.sh" --seconds -- "$@"
cd "$(dirname "$0")/.."
seconds=300
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
    *) echo "fuzz.sh: there is no flag $1; the only flag is --seconds" >&2; exit 2 ;;
  esac
done
bash scripts/setup.sh --lint
if ! printf 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -fsanitize=fuzzer,address -x c++ -o /dev/null - 2>/dev/null; then
  echo "fuzz.sh: this clang has no libFuzzer; install it (Debian: libclang-rt-dev)" >&2
  exit 1
fi
cmake --preset fuzz >/dev/null
readers=(image npy pickle safetensors store manifest)
cmake --build --preset fuzz --parallel "$(nproc)" --target "${readers[@]/#/fuzz_}" >/dev/null
for reader in "${readers[@]}"; do
  seeds=(tests/fuzz/corpus/"$reader")
  [ "$reader" != image ] || seeds=(tests/golden/images tests/golden/forms)
  [ "$reader" != pickle ] || seeds+=(tests/golden/pickles)
  found=build/fuzz/corpus/$reader
  mkdir -p "$found"
  log=build/fuzz/$reader.log
  if ! "build/fuzz/tests/fuzz/fuzz_$reader" -max_total_time="$seconds" -seed=1 -max_len=20000 -rss_limit_mb=4096 -timeout=60 \
      -artifact_prefix=build/fuzz/crash-"$reader"- "$found" "${seeds[@]}" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "fuzz.sh: the reader of $reader failed; the input is build/fuzz/crash-$reader-*" >&2
    exit 1
  fi
  echo "fuzz $reader: $(grep -o 'Done [0-9]* runs' "$log") in $seconds s, $(find "$found" -type f | wc -l) inputs kept"
done

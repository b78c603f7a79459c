#!/usr/bin/env bash
# Installs what is missing, builds, and runs all tests.
#
#   scripts/test.sh [--asan]
#
# --asan (or TDDS_ASAN=1): first under AddressSanitizer and UndefinedBehaviorSanitizer too.
# TDDS_REQUIRE_GPU=1 makes CUDA tests fail where they would be skipped.
# TDDS_CIFAR100_DIR=<folder that holds the published CIFAR-100, in any form> runs the test that reads it.
set -euo pipefail
cd "$(dirname "$0")/.."
asan=${TDDS_ASAN:-0}
for argument in "$@"; do
  case $argument in
    --asan) asan=1 ;;
    *) echo "test.sh: there is no flag $argument; there is --asan" >&2; exit 2 ;;
  esac
done

run_tests() {
  bash scripts/build.sh "$1"
  ctest --preset "$1" --parallel "$(nproc)" --progress
}

[ "$asan" = 0 ] || run_tests asan
run_tests release

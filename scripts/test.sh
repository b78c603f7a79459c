#!/usr/bin/env bash
# Installs missing dependencies, builds, and runs all tests.
#
#   scripts/test.sh [--asan]
#
# --asan (or TDDS_ASAN=1): also runs them first under AddressSanitizer and UndefinedBehaviorSanitizer.
# TDDS_REQUIRE_GPU=1: CUDA tests fail instead of being skipped.
# TDDS_CIFAR100_DIR=<folder with the published CIFAR-100, in any format>: runs the test that reads it.
set -euo pipefail
cd "$(dirname "$0")/.."
asan=${TDDS_ASAN:-0}
for argument in "$@"; do
  case $argument in
    --asan) asan=1 ;;
    *) echo "test.sh: there is no flag $argument; the only flag is --asan" >&2; exit 2 ;;
  esac
done

run_tests() {
  bash scripts/build.sh "$1"
  ctest --preset "$1" --parallel "$(nproc)" --progress
}

[ "$asan" = 0 ] || run_tests asan
run_tests release

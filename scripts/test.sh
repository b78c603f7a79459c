#!/usr/bin/env bash
# Installs missing dependencies, builds, and runs all tests, those of the Python package in numpy among them
# (scripts/test_python.sh). The last line of output is ctest's summary for the release build.
#
#   scripts/test.sh [--asan]
#
# --asan (or TDDS_ASAN=1): also runs them first under AddressSanitizer and UndefinedBehaviorSanitizer.
# TDDS_REQUIRE_GPU=1: CUDA tests fail instead of being skipped.
# TDDS_CIFAR100_DIR=<folder with the published CIFAR-100, in any format>: runs the test that reads it.
set -euo pipefail
. "$(dirname "$0")/usage.sh" --asan -- "$@"
cd "$(dirname "$0")/.."
asan=${TDDS_ASAN:-0}
for argument in "$@"; do
  case $argument in
    --asan) asan=1 ;;
    *) echo "test.sh: there is no flag $argument; the only flag is --asan" >&2; exit 2 ;;
  esac
done

run_tests() { ctest --preset "$1" --parallel "$(nproc)" --progress; }

if [ "$asan" = 1 ]; then
  bash scripts/build.sh asan
  run_tests asan
fi
bash scripts/build.sh release
bash scripts/test_python.sh  # compiles little: ccache has what the release build compiled
run_tests release

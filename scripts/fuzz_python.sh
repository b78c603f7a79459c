#!/usr/bin/env bash
# Feeds the Python package with batches of random shapes, types and strides, under AddressSanitizer and
# UndefinedBehaviorSanitizer.
#
#   scripts/fuzz_python.sh [--seconds N]     default: 60
#
# Uses the environment that scripts/test_python.sh makes, with PyTorch's tensors too where it was called with --all.
set -euo pipefail
. "$(dirname "$0")/usage.sh" --seconds -- "$@"
cd "$(dirname "$0")/.."
seconds=60
if [ "${1:-}" = --seconds ]; then seconds=${2:?--seconds needs a number}; fi
venv=$PWD/.venv/torch
[ -e "$venv/ready" ] || venv=$PWD/.venv
[ -x "$venv/bin/ruff" ] || bash scripts/test_python.sh -k stubs
log=$(mktemp)
trap 'rm -f "$log"' EXIT
build() {
  cmake --preset asan -DTDDS_PYTHON=ON -DPython_EXECUTABLE="$venv/bin/python" "-DTDDS_WERROR=${TDDS_WERROR:-OFF}" &&
    cmake --build --preset asan --parallel "$(nproc)" --target tdds_module
}
if ! build >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
# The package, with the module of this build.
package=build/asan/python/package
rm -rf "$package"
mkdir -p "$package"
cp -r python/tdds "$package"
cp build/asan/python/_tdds.*.so "$package/tdds"
# Python's own allocations are not freed at its end. The module comes into a process that was not linked with the sanitizers.
LD_PRELOAD="$(c++ -print-file-name=libasan.so) $(c++ -print-file-name=libubsan.so) $(c++ -print-file-name=libstdc++.so.6)" \
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONPATH=$package OMP_WAIT_POLICY=passive \
  "$venv/bin/python" python/tests/test_bad_inputs.py --seconds "$seconds"

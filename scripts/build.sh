#!/usr/bin/env bash
# Installs what is missing and builds. With CI or TDDS_WERROR=1 in the environment, warnings are errors.
#
#   scripts/build.sh [PRESET] [TARGET...]     PRESET: release (the default), debug or asan
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true

bash scripts/setup.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
werror=OFF
[ -z "${CI:-}${TDDS_WERROR:-}" ] || werror=ON
if ! cmake --preset "$preset" -DTDDS_WERROR=$werror >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
grep 'CUDA backend' "$log" || true
cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"}

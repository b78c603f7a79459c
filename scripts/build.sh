#!/usr/bin/env bash
# Installs missing dependencies and builds. With CI or TDDS_WERROR=1 in the environment, warnings are errors.
#
#   scripts/build.sh [PRESET] [TARGET...]     PRESET: release (the default), debug or asan
#
# If there is an NVIDIA driver that supports CUDA 13 but no toolkit, the toolkit is installed from NVIDIA's Python wheels
# (scripts/cuda_from_pypi.sh, 2 GB), and the build is for this machine's GPU. TDDS_CUDA_ARCHITECTURES in the environment,
# such as 90-real or "80-real;90-real", does the same for those GPUs without a driver; `none` skips all of this.
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
preset=${1:-release}
shift || true

bash scripts/setup.sh
log=$(mktemp)
trap 'rm -f "$log"' EXIT
werror=OFF
[ -z "${CI:-}${TDDS_WERROR:-}" ] || werror=ON

cuda=()
# The driver's series, such as 580; empty without a driver.
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | sed -n '1s/^\([0-9]*\)\..*/\1/p' || true)
[ -n "$driver" ] || driver=$(sed -n 's/^NVRM version:.*Kernel Module.* \([0-9]*\)\.[0-9].*/\1/p' /proc/driver/nvidia/version 2>/dev/null || true)
architectures=${TDDS_CUDA_ARCHITECTURES:-${driver:+native}}
if [ "$preset" != asan ] && [ -n "$architectures" ] && [ "$architectures" != none ]; then
  if [ -z "${TDDS_CUDA_ARCHITECTURES:-}" ] && [ "$driver" -lt 580 ]; then
    echo "CUDA backend: off, the NVIDIA driver $driver is older than 580, which CUDA 13 needs"
    cuda=(-DTDDS_CUDA=OFF)
  elif PATH=$PATH:${CUDA_PATH:-/usr/local/cuda}/bin command -v nvcc >/dev/null || bash scripts/cuda_from_pypi.sh; then
    cuda=("-DCMAKE_CUDA_ARCHITECTURES=$architectures")
  elif [ -n "${TDDS_CUDA_ARCHITECTURES:-}" ]; then
    echo "build.sh: the CUDA toolkit could not be installed; see above" >&2
    exit 1
  else
    echo "CUDA backend: off, the toolkit could not be installed; see above"
  fi
fi
if ! cmake --preset "$preset" -DTDDS_WERROR=$werror ${cuda[@]+"${cuda[@]}"} >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
grep 'CUDA backend' "$log" || true
cmake --build --preset "$preset" --parallel "$(nproc)" ${1:+--target "$@"}

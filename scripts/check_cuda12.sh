#!/usr/bin/env bash
# Checks that the host sources of the CUDA backend, kernels/cuda/*.cpp, compile with the headers of CUDA 12 from NVIDIA's
# Python wheels. Nothing is linked or run. Kernels (.cu) are not checked: the wheels of CUDA 12 contain no compiler for
# them, and a build with that toolkit has no CUDA backend (cmake/TddsCuda.cmake).
#
#   scripts/check_cuda12.sh [FOLDER]     FOLDER: where to install the wheels (2 GB); default .deps/cuda12
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
folder=${1:-.deps/cuda12}
if [ ! -e "$folder/ready" ]; then
  bash scripts/setup.sh --pypi
  python3 -m venv "$folder"
  "$folder/bin/pip" install -q --disable-pip-version-check --no-deps \
    nvidia-cuda-runtime-cu12 nvidia-cuda-nvcc-cu12 nvidia-cublas-cu12 nvidia-cudnn-cu12 nvidia-nvtx-cu12
  touch "$folder/ready"
fi
includes=()
for include in "$folder"/lib/python3*/site-packages/nvidia/*/include; do includes+=(-isystem "$include"); done
runtime=$(sed -n 's/^#define CUDART_VERSION *\([0-9]*\).*/\1/p' "$folder"/lib/python3*/site-packages/nvidia/cuda_runtime/include/cuda_runtime_api.h)

failed=()
sources=(kernels/cuda/*.cpp kernels/cuda/*/*.cpp kernels/backends/cuda.cpp)
for source in "${sources[@]}"; do
  "${CXX:-g++}" -std=c++20 -Wall -Wextra -Werror -fsyntax-only -I . "${includes[@]}" "$source" || failed+=("$source")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "check_cuda12.sh: these do not compile with CUDA $((runtime / 1000)).$((runtime % 1000 / 10)): ${failed[*]}" >&2
  exit 1
fi
echo "${#sources[@]} host sources compile with CUDA $((runtime / 1000)).$((runtime % 1000 / 10)); kernels were not checked"

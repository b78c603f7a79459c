#!/usr/bin/env bash
# Installs the CUDA toolkit (nvcc, the runtime, CCCL, cuBLAS and cuDNN) from NVIDIA's Python wheels (2 GB, about a minute)
# into .deps/cuda, where this project's CMake finds it. For a machine that has an NVIDIA driver but no toolkit. The wheels
# are of CUDA 13, so the driver must be of the 580 series or newer.
#
#   scripts/cuda_from_pypi.sh [FOLDER]     FOLDER: default .deps/cuda; for another, set CUDACXX=FOLDER/toolkit/bin/nvcc and
#                                          -DTDDS_CUDNN_ROOT=FOLDER/cudnn
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
folder=${1:-.deps/cuda}
if [ -x "$folder/toolkit/bin/nvcc" ] && [ -e "$folder/cudnn/lib/libcudnn.so" ]; then
  echo "CUDA is already installed in $folder"
  exit 0
fi
bash scripts/setup.sh --pypi
python3 -m venv "$folder"
# Newer cuDNN wheels load the driver's library even for planning, which fails on a machine without a driver.
"$folder/bin/pip" install -q --disable-pip-version-check \
  nvidia-cuda-nvcc nvidia-cuda-runtime nvidia-cuda-cccl nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm nvidia-cublas \
  'nvidia-cudnn-cu13>=9.8,<9.20'

site=$(cd "$folder" && echo lib/python3*/site-packages/nvidia)
ln -sfn "$site/cu13" "$folder/toolkit"
ln -sfn "$site/cudnn" "$folder/cudnn"
# The wheels contain only libX.so.N; CMake's find modules and nvcc look for libX.so and lib64.
for library in "$folder"/toolkit/lib/lib*.so.* "$folder"/cudnn/lib/lib*.so.*; do
  ln -sf "$(basename "$library")" "${library%%.so.*}.so"
done
ln -sfn lib "$folder/toolkit/lib64"
"$folder/toolkit/bin/nvcc" --version | tail -n 1

#!/usr/bin/env bash
# Installs cuobjdump and nvdisasm from NVIDIA's Python wheels (6 MB) into .deps/disassembler, for the test that reads the
# machine code of the convolutions (tests/cuda/machine_code_test.cpp). Does nothing where there is no CUDA toolkit, or where
# it has them.
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
folder=.deps/disassembler
PATH=$PATH:${CUDA_PATH:-/usr/local/cuda}/bin:.deps/cuda/toolkit/bin
if [ -x "$folder/bin/cuobjdump" ] || ! command -v nvcc >/dev/null || command -v cuobjdump >/dev/null; then exit 0; fi
bash scripts/setup.sh --pypi
python3 -m venv "$folder"
"$folder/bin/pip" install -q --disable-pip-version-check nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm
ln -sf "$PWD/$folder"/lib/python3*/site-packages/nvidia/cu*/bin/{cuobjdump,nvdisasm} "$folder/bin/"

#!/usr/bin/env bash
# Installs the Python package in a virtual environment and runs its checks: ruff, mypy and the tests. Needs the network, for
# nanobind, scikit-build-core, numpy and what checks.
#
#   scripts/test_python.sh [--all] [PYTEST-ARGUMENT...]
#
# --all: in .venv/torch, with PyTorch (bench/with_torch.sh) and TensorBoard; otherwise in .venv, and the tests that need
# these are skipped.
# PYTHON: the interpreter; default: python3. TDDS_CUDA=AUTO builds with CUDA where a toolkit is found; default: OFF.
# With CI or TDDS_WERROR=1 in the environment, warnings are errors.
set -euo pipefail
. "$(dirname "$0")/usage.sh" any -- "$@"
cd "$(dirname "$0")/.."
bash scripts/setup.sh --python
venv=.venv extras=test
if [ "${1:-}" = --all ]; then
  shift
  venv=.venv/torch extras=test,torch
  bash bench/with_torch.sh -c 'import torch; print("PyTorch", torch.__version__)'
fi
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The name by which scripts/build.sh calls the compiler, so that ccache finds what it compiled.
export CXX=${CXX:-c++}
werror=OFF
[ -z "${CI:-}${TDDS_WERROR:-}" ] || werror=ON
if ! "$venv/bin/pip" install --no-color --config-settings=cmake.define.TDDS_CUDA="${TDDS_CUDA:-OFF}" \
  --config-settings=cmake.define.TDDS_WERROR=$werror ".[$extras]" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
"$venv/bin/ruff" check -q python
"$venv/bin/ruff" format -q --check python
# Tests find the programs on the PATH. Spinning threads would take the cores from each other.
PATH=$PWD/$venv/bin:$PATH OMP_WAIT_POLICY=passive "$venv/bin/python" -m pytest -q -rs "$@"

#!/usr/bin/env bash
# Installs the Python package in a virtual environment, .venv, and runs its tests. Needs the network, for nanobind,
# scikit-build-core, numpy and pytest.
#
#   scripts/test_python.sh [PYTEST-ARGUMENT...]
#
# PYTHON: the interpreter; default: python3. TDDS_CUDA=AUTO builds with CUDA where a toolkit is found; default: OFF.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --python
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The name by which scripts/build.sh calls the compiler, so that ccache finds what it compiled.
export CXX=${CXX:-c++}
if ! .venv/bin/pip install --no-color --config-settings=cmake.define.TDDS_CUDA="${TDDS_CUDA:-OFF}" ".[test]" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
# Tests find the programs on the PATH. Spinning threads would take the cores from each other.
PATH=$PWD/.venv/bin:$PATH OMP_WAIT_POLICY=passive .venv/bin/python -m pytest -q "$@"

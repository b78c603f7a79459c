#!/usr/bin/env bash
# Runs a Python script in an environment with the newest PyTorch for the CPU, created in .venv/torch at the first use.
#
#   bench/with_torch.sh SCRIPT [ARG...]
#
# Needs Debian's python3-venv and, for torch.compile, python3-dev.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.venv/torch
if [ ! -e "$venv/ready" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check torch numpy safetensors
  touch "$venv/ready"
fi
exec "$venv/bin/python" "$@"

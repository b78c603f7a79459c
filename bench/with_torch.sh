#!/usr/bin/env bash
# Runs Python in an environment with the newest PyTorch, created in .venv/torch at the first use.
#
#   bench/with_torch.sh SCRIPT [ARG...]
#
# TDDS_TORCH_PYTHON: a Python of the same version that has torch already; the environment then uses that one. Otherwise pip
# downloads it, 3 GB with its CUDA libraries. Needs Debian's python3-venv and, for torch.compile, python3-dev.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.venv/torch
if [ ! -e "$venv/ready" ]; then
  "${TDDS_TORCH_PYTHON:-python3}" -m venv "$venv"
  packages=(numpy safetensors)
  if [ -n "${TDDS_TORCH_PYTHON:-}" ]; then
    # The folder that has torch comes after this environment's own packages.
    "$TDDS_TORCH_PYTHON" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parent.parent)' \
      >"$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch.pth"
  else
    packages+=(torch)
  fi
  "$venv/bin/pip" install -q --disable-pip-version-check "${packages[@]}"
  touch "$venv/ready"
fi
exec "$venv/bin/python" "$@"

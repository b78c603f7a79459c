#!/usr/bin/env bash
# Checks the formatting of every source, and runs clang-tidy over those that differ from a commit.
#
#   scripts/lint.sh [--since COMMIT]     without --since: clang-tidy over all sources
#
# The format is the one of clang-format 14, as Debian 12 has it; other versions disagree in places.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh --lint
bash scripts/build.sh release

version=$(clang-format --version | sed -E 's/.*version ([0-9]+).*/\1/')
if [ "$version" = 14 ]; then
  git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run -Werror
  echo "clang-format: every source is formatted"
else
  echo "clang-format: skipped, this is version $version and the format is version 14's"
fi

if [ "${1:-}" = --since ]; then
  mapfile -t sources < <(git diff --name-only --diff-filter=d "$2" -- '*.cpp')
else
  mapfile -t sources < <(git ls-files '*.cpp')
fi
# Only what this build compiles has an entry to go by.
compiled=()
for source in "${sources[@]}"; do
  if grep -qF "\"$PWD/$source\"" build/release/compile_commands.json; then compiled+=("$source"); fi
done
if [ ${#compiled[@]} -gt 0 ]; then
  printf '%s\0' "${compiled[@]}" | xargs -0 -n 1 -P "$(nproc)" clang-tidy --quiet -p build/release 2>/dev/null
fi
echo "clang-tidy: ${#compiled[@]} sources are clean"

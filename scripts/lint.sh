#!/usr/bin/env bash
# Checks the formatting of all sources and runs clang-tidy on them, the most recently changed first.
#
#   scripts/lint.sh [--minutes N]     --minutes: start no new source after N minutes; default: check all
#
# The format is that of clang-format 14, the version in Debian 12; other versions differ in places.
set -euo pipefail
. "$(dirname "$0")/usage.sh" --minutes -- "$@"
cd "$(dirname "$0")/.."
minutes=10000
if [ "${1:-}" = --minutes ]; then minutes=${2:?--minutes needs a number}; fi
bash scripts/setup.sh --lint

version=$(clang-format --version | sed -E 's/.*version ([0-9]+).*/\1/')
if [ "$version" = 14 ]; then
  git ls-files -z '*.h' '*.cpp' '*.cu' | xargs -0 clang-format --dry-run -Werror
  echo "clang-format: every source is formatted"
else
  echo "clang-format: skipped, this is version $version and the format is version 14's"
fi

cmake --preset release >/dev/null
# clang-tidy needs an entry in compile_commands.json, which only the sources of this build have.
# clang 14 lacks std::source_location, by which the simt executor names the place of an error: it cannot parse these sources.
simt='access_recorder|async_copies|executor|launch_counters|warp_matrix'
unparsable="#include \"(kernels/(gpu/(gpu|tensor_core|conv3x3_tile)|simt/($simt))|tests/kernels/simt_launch)\.h\""
sources=() skipped=0
while read -r source; do
  if ! grep -qF "\"$PWD/$source\"" build/release/compile_commands.json; then continue; fi
  if [ "$version" = 14 ] && grep -qE "$unparsable" "$source"; then
    skipped=$((skipped + 1))
  else
    sources+=("$source")
  fi
done < <({ git log --format= --name-only -- '*.cpp'; git ls-files '*.cpp'; } | awk '!seen[$0]++')

checked=$(mktemp)
trap 'rm -f "$checked"' EXIT
export checked deadline=$(($(date +%s) + 60 * minutes))
# shellcheck disable=SC2016  # expanded by the inner shell
printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c '
  [ "$(date +%s)" -lt "$deadline" ] || exit 0
  clang-tidy --quiet --extra-arg=-Wno-unused-command-line-argument -p build/release "$0" 2>/dev/null || exit 1
  echo "$0" >>"$checked"'
echo "clang-tidy: $(wc -l <"$checked") of ${#sources[@]} sources checked, all clean; $skipped that clang 14 cannot parse are skipped"

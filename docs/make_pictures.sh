#!/usr/bin/env bash
# Makes docs/pictures/ from a run of the demo: its curve, and the data map of its report as Chromium draws it.
#
#   docs/make_pictures.sh [FOLDER]     FOLDER: where the demo's run is, or will be; runs/demo if not given
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-runs/demo}
pictures=docs/pictures
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "make_pictures.sh: there is no Chromium; on Debian: apt-get install chromium" >&2
  exit 1
}
[ -e "$folder/report.html" ] || bash scripts/demo.sh "$folder"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$pictures"
cp "$folder/all/curve.svg" "$pictures/curve.svg"

# The map alone, with the wrong labels marked, as after a click.
style='header, section:not(#map) { display: none } main { padding: 0 } section { margin: 0; border: 0; padding: 0 }'
sed -e 's/<input type="checkbox" id="map-wrong">/<input type="checkbox" id="map-wrong" checked>/' \
  -e "s|</head>|<style>$style</style></head>|" "$folder/report.html" >"$scratch/map.html"
"$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/profile" \
  --virtual-time-budget=15000 --window-size=760,700 --screenshot="$PWD/$pictures/report.png" \
  "file://$scratch/map.html" 2>/dev/null
ls -l "$pictures"

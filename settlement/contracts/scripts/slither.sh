#!/usr/bin/env bash
# Lets slither look for known kinds of faults in the contracts:
#   scripts/slither.sh path/to/slither
# Ends with 1 if it finds anything that slither-allow.txt does not explain, or no longer finds what is explained there.
# Findings in OpenZeppelin's code alone are left out.
set -euo pipefail

stop() { printf 'slither.sh: %s\n' "$*" >&2; exit 2; }

[ $# = 1 ] || stop 'usage: scripts/slither.sh SLITHER (the program of the PyPI package slither-analyzer)'
slither=$(command -v -- "$1") || stop "$1 is not a program; install it with: pip install slither-analyzer"
slither=$(realpath -- "$slither")
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Slither would build with a native compiler, which is not there; it is given the build of ours, and asks forge for nothing
# but its configuration.
mkdir "$scratch/bin"
printf '#!/bin/sh\nexec node "%s/scripts/forge.mjs" "$@"\n' "$PWD" >"$scratch/bin/forge"
chmod +x "$scratch/bin/forge"
"$scratch/bin/forge" build src --force --build-info --out "$scratch/out" --cache-path "$scratch/cache" \
  >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log" >&2; stop 'the contracts do not build'; }

# Its status says only that there are findings; that there is a report says that it ran.
PATH="$scratch/bin:$PATH" "$slither" . --ignore-compile --foundry-out-directory "$scratch/out" \
  --exclude-dependencies --disable-color --json "$scratch/report.json" >"$scratch/slither.log" 2>&1 || true
[ -s "$scratch/report.json" ] || { tail -n 30 "$scratch/slither.log" >&2; stop 'slither gave no report'; }
node scripts/slither-report.mjs "$scratch/report.json" scripts/slither-allow.txt

#!/usr/bin/env bash
# Renews proto/baseline.binpb, which `buf breaking` compares the contract with. CHANGELOG.md lists the changes for authors of clients,
# so the two change together.
set -euo pipefail
buf=$1
baseline=proto/baseline.binpb

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$buf" build --exclude-source-info --output "$fresh/baseline.binpb"

if cmp -s "$fresh/baseline.binpb" "$baseline"; then
  echo "$baseline is up to date"
  exit
fi
if [[ -z $(git status --porcelain -- CHANGELOG.md) ]]; then
  echo "The contract differs from $baseline: describe the change in CHANGELOG.md, then run this again." >&2
  exit 1
fi
cp "$fresh/baseline.binpb" "$baseline"
echo "$baseline renewed; commit it together with CHANGELOG.md"

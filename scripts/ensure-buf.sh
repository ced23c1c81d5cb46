#!/usr/bin/env bash
# Installs buf, in the version asked for, into a folder of the build; nothing global but npm itself where it is missing.
set -euo pipefail
version=$1 folder=$2

if ! command -v npm >/dev/null; then
  if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "npm is missing: installing it"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends nodejs npm </dev/null >/dev/null
  else
    echo "npm is missing, and buf, which checks the contract, comes by it." >&2
    echo "Install Node.js (https://nodejs.org, or your system's packages nodejs and npm) and try again." >&2
    exit 1
  fi
fi

mkdir -p "$folder"
# No scripts: the binary comes ready in a package of its own for each platform.
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-progress --loglevel error \
  "@bufbuild/buf@$version" </dev/null
"$folder/node_modules/.bin/buf" --version >/dev/null
touch "$folder/node_modules/.bin/buf" # newer than this script, for make

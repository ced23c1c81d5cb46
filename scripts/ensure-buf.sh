#!/usr/bin/env bash
# Installs the given version of buf into a folder of the build. The only global installation is npm, if it is missing.
set -euo pipefail
version=$1 folder=$2

if ! command -v npm >/dev/null; then
  if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "npm is missing: installing it"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq </dev/null
    apt-get install -y -qq --no-install-recommends nodejs npm </dev/null >/dev/null
  else
    echo "npm is missing; it is needed to install buf, which checks the contract." >&2
    echo "Install Node.js (https://nodejs.org, or your system's packages nodejs and npm) and try again." >&2
    exit 1
  fi
fi

mkdir -p "$folder"
# No install scripts: each platform has a package with the binary.
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-progress --loglevel error \
  "@bufbuild/buf@$version" </dev/null
"$folder/node_modules/.bin/buf" --version >/dev/null
touch "$folder/node_modules/.bin/buf" # newer than this script, for make

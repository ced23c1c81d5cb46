#!/usr/bin/env bash
# Ensures that Postgres, Redis, Prometheus and a browser are installed for the tests. The tests start throw-away servers themselves, so
# only the binaries are needed, or TEST_DATABASE_URL and TEST_REDIS_URL of servers that may be filled with test data.
set -euo pipefail

have_postgres() {
  [[ -n ${TEST_DATABASE_URL:-} ]] && return
  command -v initdb >/dev/null && command -v postgres >/dev/null && return
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null # not on the PATH in Debian
}

have_redis() {
  [[ -n ${TEST_REDIS_URL:-} ]] || command -v redis-server >/dev/null
}

have_prometheus() {
  command -v prometheus >/dev/null
}

have_chromium() {
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null
}

missing=()
have_postgres || missing+=(postgresql)
have_redis || missing+=(redis-server)
have_prometheus || missing+=(prometheus)
have_chromium || missing+=(chromium)
[[ ${#missing[@]} -eq 0 ]] && exit

if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
  echo "The tests need ${missing[*]}, which is not installed." >&2
  echo "Install it (Debian, Ubuntu: sudo apt-get install ${missing[*]}; macOS: brew install postgresql redis prometheus, and a Chromium)," >&2
  echo "or set TEST_DATABASE_URL and TEST_REDIS_URL to servers that may be filled with test data." >&2
  exit 1
fi

echo "installing ${missing[*]} for the tests"
# 101 prevents the packages from starting their system services.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq </dev/null
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null

have_postgres && have_redis && have_prometheus && have_chromium || {
  echo "${missing[*]} was installed, but its binaries were not found." >&2
  exit 1
}

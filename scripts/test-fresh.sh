#!/usr/bin/env bash
# Runs the tests that call cargo or rustc once more, with an empty CARGO_HOME. On a machine that has never built this tree CARGO_HOME holds
# only the packages that the build for this platform has fetched; the tests must pass with even less.
set -euo pipefail

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# The same build as for all tests. Only the runner differs: it sets the variable for the tests and not for cargo itself, which would
# fetch and compile every dependency again.
cargo test --workspace --locked --config 'target."cfg(all())".runner = ["env", "CARGO_HOME='"$home"'", "CARGO_NET_OFFLINE=true"]' \
  --test architecture --test compile_fail

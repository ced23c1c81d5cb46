#!/usr/bin/env bash
# Runs the tests that call cargo or rustc once more, with an empty CARGO_HOME: on a machine that has never built this tree, cargo
# finds there only what the build of this platform has fetched, and less than that must be enough.
set -euo pipefail

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# The same build as for all tests. Only what runs them is another: it sets the variable for them and not for cargo itself, which
# would fetch and compile every dependency again.
cargo test --workspace --locked --config 'target."cfg(all())".runner = ["env", "CARGO_HOME='"$home"'", "CARGO_NET_OFFLINE=true"]' \
  --test architecture --test compile_fail

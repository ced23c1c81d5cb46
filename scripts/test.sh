#!/usr/bin/env bash
# Runs every test, and then says in a few lines what came of it: cargo itself sums up each binary alone.
set -euo pipefail

log=target/test.log
mkdir -p target
status=0
cargo test --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

awk '
  /^test .* \.\.\. FAILED$/ || /^test .* - .* \(line [0-9]+\) \.\.\. FAILED$/ { failures[++n] = $2 }
  /^test result: / { passed += $4; failed += $6; ignored += $8; binaries += 1 }
  END {
    printf "\n%d passed, %d failed, %d ignored, in %d test binaries\n", passed, failed, ignored, binaries
    for (i = 1; i <= n; i++) printf "  failed: %s\n", failures[i]
  }
' "$log"
exit "$status"

#!/usr/bin/env bash
# Runs every test. The test binaries run side by side, TEST_SLOTS at a time, since they wait most of the time; a line for each says that
# it has ended, and the output of those that failed comes last. Arguments go to every binary.
set -euo pipefail

# Binaries that share a server run one after the other: one could use up its connections, or flush what another has stored.
slots=1
[[ -n ${TEST_DATABASE_URL:-} || -n ${TEST_REDIS_URL:-} ]] || slots=${TEST_SLOTS:-$(getconf _NPROCESSORS_ONLN)}

export TEST_RUN=$PWD/target/test-run
rm -rf "$TEST_RUN"
mkdir -p "$TEST_RUN"
mkfifo "$TEST_RUN/slots" "$TEST_RUN/progress"
exec 8<>"$TEST_RUN/slots"
printf '.%.0s' $(seq "$slots") >&8
# The binaries are in this process group: an interrupted run leaves none behind.
trap 'trap - INT TERM; kill 0' INT TERM
failed=0

# Starts the binaries that cargo selects, and waits for the last.
run() {
  local progress
  cat "$TEST_RUN/progress" &
  progress=$!
  exec 7>"$TEST_RUN/progress"
  cargo test --workspace --locked --no-fail-fast --config "target.'cfg(all())'.runner = ['$PWD/scripts/test-binary.sh']" "$@" 2>"$TEST_RUN/cargo" ||
    { cat "$TEST_RUN/cargo" && failed=1; }
  exec 7>&-
  wait "$progress"
}

cargo test --workspace --locked --no-run
# The coherence tests load three instances with all that the machine has, so they run alone.
TEST_LATER=coherence run --tests -- "$@"
TEST_LATER='' run --test coherence -- "$@"

for folder in "$TEST_RUN"/*/; do
  [[ $(cat "$folder/status" 2>/dev/null) == 0 ]] && continue
  failed=1
  printf '\n%s\n' "$folder"
  cat "$folder/log"
done
cargo test --workspace --locked --quiet --doc -- "$@" || failed=1

cat "$TEST_RUN"/*/log | awk '
  /^test .* \.\.\. FAILED$/ { failures[++n] = $2 }
  /^test result: / { passed += $4; failed += $6; ignored += $8; binaries += 1 }
  END {
    printf "\n%d passed, %d failed, %d ignored, in %d test binaries\n", passed, failed, ignored, binaries
    for (i = 1; i <= n; i++) printf "  failed: %s\n", failures[i]
  }
'
exit "$failed"

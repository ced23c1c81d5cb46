#!/usr/bin/env bash
# Runs one test binary for scripts/test.sh: cargo calls this as its runner, in the package's folder and with its environment.
# Returns at once, so that cargo goes on to the next binary; the binary runs in the background when a slot is free.
set -euo pipefail

name=$(basename "$1")
[[ ${name%-*} == "$TEST_LATER" ]] && exit
folder=$TEST_RUN/$name
mkdir "$folder"

# Open from here on, so that the reader of the pipe sees its end only after the last binary. No test may inherit it: a server that a
# test leaves behind would keep it open.
exec 7>"$TEST_RUN/progress"
{
  exec 8<>"$TEST_RUN/slots"
  read -r -n 1 -u 8
  start=$SECONDS
  status=0
  "$@" >"$folder/log" 2>&1 </dev/null 7>&- 8>&- || status=$?
  printf . >&8
  echo "$status" >"$folder/status"
  summary=$(awk '/^test result: / { print $4 " passed, " $6 " failed" }' "$folder/log")
  [[ $status -eq 0 ]] && verdict=ok || verdict=FAILED
  printf '%-6s %5d s  %-24s %s\n' "$verdict" $((SECONDS - start)) "${name%-*}" "${summary:-exit status $status}" >&7
} &

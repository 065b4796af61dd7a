#!/bin/sh
# run.sh PROGRAM…: runs each unit test in its own process, with a limit against those that hang (disks differ much); what it
# printed is shown only when it failed. Ends with one line of totals.
set -u

passed=0 failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
for test in "$@"; do
    timeout 600 "$test" >"$out" 2>&1
    status=$?
    if [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "---- $test: exit $status"
        cat "$out"
    fi
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]

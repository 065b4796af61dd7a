#!/bin/sh
# run.sh FILE.mjs…: each file of tests by itself, and those that failed once more when all are through: a machine that is too
# busy for a test is no failure, one that fails twice is.
set -u

failed=
for file in "$@"; do
    node --test --test-reporter=spec "$file" || failed="$failed $file"
done
[ -n "$failed" ] || exit 0
echo "once more:$failed"
# shellcheck disable=SC2086 # names without blanks
exec node --test --test-concurrency=1 --test-reporter=spec $failed

#!/bin/sh
# run.sh HARNESS…: each for RUNS inputs or FUZZ_SECONDS, whichever is given; starts from the corpus in the tree, keeps what is
# new in build/fuzz/corpus and what breaks an invariant in build/fuzz/findings.
set -eu
cd "$(dirname "$0")/../.."

verbosity=1
[ -t 1 ] || verbosity=0 # nobody watches

for harness in "$@"; do
    new=build/fuzz/corpus/$harness found=build/fuzz/findings/$harness-
    mkdir -p "$new" build/fuzz/findings
    if [ -n "${FUZZ_SECONDS:-}" ]; then
        limit="-max_total_time=$FUZZ_SECONDS"
    elif [ "$harness" = http ]; then
        limit="-runs=$((${RUNS:-10000000} / 50))" # each opens a connection
    else
        limit="-runs=${RUNS:-10000000}"
    fi
    echo "fuzz $harness: $limit"
    build/fuzz/fuzz_"$harness" "$limit" -max_len=2048 -timeout=60 -print_final_stats=1 -verbosity=$verbosity \
        -dict=tests/fuzz/http.dict -artifact_prefix="$found" "$new" "tests/fuzz/corpus/$harness"
done

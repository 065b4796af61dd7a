#!/bin/sh
# merge.sh HARNESS…: makes the corpus in the tree the inputs that have a name and, of all others that were found (named by
# their hash), the fewest that reach the rest of the code.
set -eu
cd "$(dirname "$0")/../.."

for harness in "$@"; do
    tree=tests/fuzz/corpus/$harness merged=build/fuzz/merged/$harness
    rm -rf "$merged"
    mkdir -p "$merged"
    find "$tree" -type f ! -regex '.*/[0-9a-f]*' -exec cp -t "$merged" {} +
    build/fuzz/fuzz_"$harness" -set_cover_merge=1 -use_counters=0 -max_len=1024 "$merged" "$tree" "build/fuzz/corpus/$harness"
    find "$tree" -type f -delete
    cp "$merged"/* "$tree"
done

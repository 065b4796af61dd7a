#!/bin/sh
# merge.sh HARNESS…: makes the corpus in the tree the smallest set of inputs that reaches all that was reached.
set -eu
cd "$(dirname "$0")/../.."

for harness in "$@"; do
    tree=tests/fuzz/corpus/$harness merged=build/fuzz/merged/$harness
    rm -rf "$merged"
    mkdir -p "$merged"
    build/fuzz/fuzz_"$harness" -merge=1 -max_len=2048 "$merged" "$tree" "build/fuzz/corpus/$harness"
    find "$tree" -type f -name '[0-9a-f]*' ! -name '*[!0-9a-f]*' -delete
    cp "$merged"/* "$tree"
done

#!/bin/sh
# The house rules that a tool can hold. Says what is wrong and where; ends with the number of findings.
set -u

findings=0
fault() {
    findings=$((findings + 1))
    echo "$1"
}

c_files=$(git ls-files --cached --others --exclude-standard '*.c' '*.h')
shell_files=$(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)

# shellcheck disable=SC2086 # lists of files, none with spaces
clang-format --dry-run -Werror $c_files 2>&1 | head -20 >/tmp/prong-lint.$$
if [ -s /tmp/prong-lint.$$ ]; then
    cat /tmp/prong-lint.$$
    fault "clang-format: run make format"
fi
rm -f /tmp/prong-lint.$$

# shellcheck disable=SC2086
shellcheck $shell_files || fault "shellcheck: see above"

# uninitvar: it takes the variables of TAILQ_FOREACH, STAILQ_FOREACH, LIST_FOREACH and HASH_ITER for unset.
cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability \
    --suppress='uninitvar:src/sched/*' --suppress='uninitvar:src/durable/*' --suppress='uninitvar:src/live/*' --suppress='uninitvar:src/http/deadline.c' \
    --suppress='uninitvar:src/fetch/*' \
    --suppress=missingIncludeSystem --suppress=internalAstError --suppress=unknownMacro \
    -Isrc -Iinclude -D_GNU_SOURCE -DPRONG_VERSION='"lint"' src include ||
    fault "cppcheck: see above"

# shellcheck disable=SC2016 # awk's own dollars
long=$(printf '%s\n' "$c_files" | grep '^src/.*\.c$' | xargs awk '
    FNR == 1 { name = "" }
    /^[a-zA-Z_].*\)[ \t]*$/ { name = $0; start = FNR }
    /^\}/ { if (name != "" && FNR - start > 70) printf "%s:%d: %d lines: %s\n", FILENAME, start, FNR - start, name; name = "" }')
[ -z "$long" ] || fault "functions over 70 lines:
$long"

big=$(printf '%s\n' "$c_files" | grep '^src/' | xargs wc -l | awk '$2 != "total" && $1 > 700 { print $2 ": " $1 }')
[ -z "$big" ] || fault "files over 700 lines:
$big"

top=$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE 'Makefile|src|include|www|tests|docker|README\.md|LICENSE|\..*')
[ -z "$top" ] || fault "does not belong at the top: $top"

unfinished=$(git grep -nIwE 'TODO|FIXME|XXX|HACK' -- src include www 'tests/*.c' 'tests/*.py' || true)
[ -z "$unfinished" ] || fault "unfinished by its own words:
$unfinished"

echo "lint: $findings findings"
[ "$findings" -eq 0 ]

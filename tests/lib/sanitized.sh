#!/bin/sh
# sanitized.sh - run test files against a server with a sanitizer in it: sanitized.sh address|thread GROUP...
#
# It is built by the Makefile under $BUILD/address (with undefined behaviour) or $BUILD/thread. What a sanitizer finds ends the
# server with a status that is not 0, which every test refuses, and stands in the log that the failed test shows.
set -eu

sanitizer=$1
shift
build=${BUILD:-build}/$sanitizer
"${MAKE:-make}" --no-print-directory -s SAN="$sanitizer" BUILD="$build" "$build/futaie" >&2
if ! "$build/futaie" version >/dev/null 2>&1; then
    echo "1..0 # SKIP the $sanitizer sanitizer cannot run on this kernel: $("$build/futaie" version 2>&1 | head -n 1)"
    exit 0
fi
for group; do
    set -- "$@" "tests/integration/test_$group.py"
    shift
done
export BUILD="$build"
exec /usr/bin/python3 -m pytest -p no:cacheprovider "$@"

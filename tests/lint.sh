#!/bin/bash
# lint.sh - what machines can check of the style, as TAP: warnings of two compilers, formatting, banned functions, scripts, manual pages.
# BUILD names the build directory (default build). `make lint` calls it.
# shellcheck disable=SC2317 # the functions are called by check
set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
MAKE=${MAKE:-make}
number=0
failed=0

# check NAME COMMAND...: passes where the command succeeds; its output is shown where it does not
check() {
    local name=$1 output
    shift
    number=$((number + 1))
    if output=$("$@" 2>&1); then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        printf '%s\n' "$output" | tail -n 60 | sed 's/^/# /'
        failed=1
    fi
}

# files PATTERN...: those that git tracks or would
files() { git ls-files --cached --others --exclude-standard -- "$@"; }
sources() { files 'fcgi-app/src/*.c' 'fcgi-app/src/*.h' 'tests/*.c' 'tests/*.h'; }

builds() { # COMPILER
    "$MAKE" --no-print-directory -s -j2 BUILD="$BUILD/lint-$1" CC="$1" CFLAGS='-O2 -Werror' all unit-tests
}
fuzzers() { # by the compiler that builds them
    files 'tests/fuzz/*.c' | xargs -n1 clang -fsyntax-only -std=c17 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Ifcgi-app/src
}
formatted() { sources | xargs clang-format --dry-run --Werror; }
tidy() {
    # shellcheck disable=SC2016 # for the inner shell
    files 'fcgi-app/src/*.c' | xargs -P2 -n6 sh -c 'clang-tidy --quiet "$@" -- -std=c17 -D_GNU_SOURCE -Ifcgi-app/src 2>/dev/null' sh
}
# Functions that cannot bound what they write, or cannot tell an error.
banned() { ! sources | xargs grep -nwE '(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca|setjmp)[[:space:]]*\('; }
short() {
    ! sources | grep '\.c$' | xargs awk '
        FNR == 1 { start = 0 }
        /^\{/ { start = FNR }
        /^\}/ { if (start && FNR - start > 80) print FILENAME ":" start ": a function of " FNR - start " lines"; start = 0 }' | grep .
}
scripts() { files '*.sh' '*.bash' .ci/run | xargs shellcheck; }
python() { files '*.py' | xargs /usr/bin/python3 -m pyflakes; }
manuals() { mandoc -Tlint -Wwarning "$BUILD"/lint-gcc/man/*.1; }
sample() { "$BUILD/lint-gcc/futaie" options serve conf | diff - fcgi-app/etc/futaie.conf; }
yaml() { files '*.yml' '*.yaml' .yamllint | xargs -r yamllint --strict; }

check "gcc builds everything without a warning" builds gcc
check "clang builds everything without a warning" builds clang
check "clang finds nothing in the fuzzers" fuzzers
check "the C sources are formatted as .clang-format says (make fmt mends it)" formatted
check "clang-tidy finds nothing" tidy
check "no banned function is called" banned
check "no function is longer than 80 lines" short
check "shellcheck finds nothing in the scripts" scripts
check "pyflakes finds nothing in the Python sources" python
check "mandoc finds nothing in the manual pages" manuals
check "the sample configuration is the option table's (make conf mends it)" sample
check "yamllint finds nothing" yaml
echo "1..$number"
exit "$failed"

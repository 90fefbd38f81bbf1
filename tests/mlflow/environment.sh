#!/bin/sh
# environment.sh - a virtual environment with MLflow 2 or 3, made once: tests/mlflow/environment.sh 2|3, with BUILD for the build directory
#
# Prints its folder. Every package is pinned, and none but the pinned ones are installed. Exit status 3 where the packages cannot be had.
set -eu

fail() { printf 'environment.sh: %s\n' "$2" >&2; exit "$1"; }

[ "${1:-}" = 2 ] || [ "${1:-}" = 3 ] || fail 2 "usage: environment.sh 2|3"
requirements=$(dirname "$0")/requirements-$1.txt
folder=${BUILD:-build}/venv-mlflow$1
stamp=$(sha256sum "$requirements" | cut -d ' ' -f 1)
mkdir -p "${BUILD:-build}"

# Two that start at the same time: the second waits.
exec 9>"$folder.lock"
flock 9
if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "environment.sh: installing $(grep '^mlflow==' "$requirements") and what it needs into $folder, about a gigabyte" >&2
    rm -rf "$folder"
    /usr/bin/python3 -m venv "$folder" >&2 || fail 1 "no virtual environment can be made: install Debian's python3-venv"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-input --no-deps --only-binary :all: -r "$requirements" >&2 ||
        fail 3 "the packages of $requirements cannot be had from PyPI"
    printf '%s\n' "$stamp" >"$folder/stamp"
fi
printf '%s\n' "$folder"

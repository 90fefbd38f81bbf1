#!/bin/bash
# run.sh - the tests of real clients, in an environment of their own under BUILD: tests/clients/run.sh [FILE...]
#
# Their packages come from PyPI, once and again when requirements.txt changes. Where that cannot be reached, all of it is skipped; in CI it fails.
set -u

here=$(cd "$(dirname "$0")" && pwd)
venv=${BUILD:-build}/venv-clients
log=$venv.log

# Nothing for the terminal but TAP.
install() {
    rm -rf "$venv"
    /usr/bin/python3 -m venv "$venv" && "$venv/bin/pip" install --disable-pip-version-check --retries 1 -q -r "$here/requirements.txt" &&
        cp "$here/requirements.txt" "$venv/requirements.txt"
}

mkdir -p "$(dirname "$venv")"
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt" && ! install >"$log" 2>&1; then
    sed 's/^/# /' "$log" | tail -n 20
    if [ -n "${CI:-}" ]; then
        echo "1..1"
        echo "not ok 1 - the clients' packages can be installed"
        exit 1
    fi
    echo "1..0 # SKIP the clients' packages cannot be installed (no network?): $log says why"
    exit 0
fi
[ $# -gt 0 ] || set -- "$here"
exec "$venv/bin/python" -m pytest -p no:cacheprovider "$@"

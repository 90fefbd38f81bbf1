#!/bin/sh
# mlflow.sh - MLflow's server and pages on loopback, with a store of its own under BUILD/mlflow, until Ctrl-C: models/mlflow.sh
#
# BUILD is the build directory and MLFLOW_PORT the port (5000). While it runs, BUILD/mlflow/url holds its address, by which `make train` finds it. MLflow comes
# from PyPI, with every package pinned (tests/mlflow/requirements-3.txt), into BUILD/venv-mlflow3.
set -eu

fail() { printf 'mlflow.sh: %s\n' "$1" >&2; exit 1; }

cd "$(dirname "$0")/.."
build=${BUILD:-build}
port=${MLFLOW_PORT:-5000}
url=http://127.0.0.1:$port
environment=$(BUILD=$build tests/mlflow/environment.sh 3) || fail "MLflow cannot be installed: its packages come from PyPI"
mkdir -p "$build/mlflow/artifacts"
store=$(cd "$build/mlflow" && pwd)
curl --silent --max-time 2 --output /dev/null "$url" && fail "port $port is taken: make mlflow MLFLOW_PORT=5001, for example"

# Nothing is sent to MLflow's makers.
export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
setsid "$environment/bin/mlflow" server --host 127.0.0.1 --port "$port" --workers 1 --backend-store-uri "sqlite:///$store/mlflow.db" \
    --artifacts-destination "$store/artifacts" >"$store/log" 2>&1 &
server=$!
# shellcheck disable=SC2317 # by the trap
stop() {
    rm -f "$store/url"
    kill -s TERM -- "-$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    exit "$1"
}
trap 'stop 0' INT TERM HUP

tries=0
until curl --silent --fail --max-time 2 --output /dev/null "$url/health"; do
    kill -0 "$server" 2>/dev/null || { tail -n 20 "$store/log" >&2; rm -f "$store/url"; fail "the server ended; its log is $store/log"; }
    tries=$((tries + 1))
    [ "$tries" -lt 120 ] || { echo "mlflow.sh: no answer within two minutes; the log is $store/log" >&2; stop 1; }
    sleep 1
done
printf '%s\n' "$url" >"$store/url"
cat <<END

MLflow is ready: $url/

  make train                                         logs a run, and registers california-housing
  build/futaie models pull models:/california-housing/1 --mlflow $url

Its store and log are in $build/mlflow. Ctrl-C stops it.
END
wait "$server" || true
rm -f "$store/url"
fail "the server ended; its log is $store/log"

#!/bin/bash
# run.sh - futaie and a web server together, in the foreground: what `make run` does once futaie is built
#
# Environment: BUILD (build), FRONT (lighttpd, or apache), HTTP_PORT (5001), HTTPS_PORT (8443), BIND (127.0.0.1),
# MODELS (models), FUTAIE ($BUILD/futaie), KEYS (a file of futaie keys; none are asked for without it), SERVE_ARGS (more
# options for `futaie serve`, separated by blanks).
# Everything written is under $BUILD: tls/ (kept), log/ (of the last run), run/ (empty afterwards but for its lock).
set -u
{ # read to its end before anything runs, so that an update of this file leaves a running one alone

here=$(cd "$(dirname "$0")" && pwd)
say() { printf '%s\n' "$*"; }
die() { printf 'run: %s\n' "$*" >&2; exit 1; }

PATH=$PATH:/usr/sbin:/sbin # an ordinary user's may lack the web servers' folder
BUILD=${BUILD:-build} FRONT=${FRONT:-lighttpd} HTTP_PORT=${HTTP_PORT:-5001} HTTPS_PORT=${HTTPS_PORT:-8443}
BIND=${BIND:-127.0.0.1} MODELS=${MODELS:-models} SERVE_ARGS=${SERVE_ARGS:-} KEYS=${KEYS:-}
case $FRONT in
lighttpd | apache) ;;
*) printf 'run: FRONT=%s is no web server that is known here: give FRONT=lighttpd or FRONT=apache\n' "$FRONT" >&2; exit 2 ;;
esac
mkdir -p "$BUILD/tls" "$BUILD/run" "$BUILD/log" || exit 1
BUILD=$(cd "$BUILD" && pwd)
FUTAIE=${FUTAIE:-$BUILD/futaie}
run=$BUILD/run log=$BUILD/log tls=$BUILD/tls

quote() { local s=${1//\\/\\\\}; printf '"%s"' "${s//\"/\\\"}"; }
# shellcheck source=webserver-conf/run-lighttpd.sh # which sets the same as run-apache.sh
. "$here/run-$FRONT.sh"

# --- may we? --------------------------------------------------------------------------------------------------------

[ -x "$FUTAIE" ] || die "there is no program $FUTAIE: build it with 'make', or set FUTAIE"
[ -d "$MODELS" ] || die "there is no folder of models $MODELS: set MODELS"
[ -z "$KEYS" ] || [ -r "$KEYS" ] || die "there is no file of keys $KEYS that can be read: make one with '$FUTAIE keys add LABEL --keys $KEYS'"
FUTAIE=$(cd "$(dirname "$FUTAIE")" && pwd)/${FUTAIE##*/} MODELS=$(cd "$MODELS" && pwd)
for command in "$web_program" spawn-fcgi openssl curl flock setpriv; do
    [ -n "$(command -v "$command")" ] || die "$command is not installed ('make run' installs it)"
done

# The lock is inherited by what is started here, so it is free only when all of that is gone, however it went.
{ exec 9>>"$run/lock"; } 2>/dev/null || die "$run cannot be written: give a BUILD that is yours"
flock -n 9 || die "another one runs with BUILD=$BUILD: stop it with Ctrl-C, or give this one a BUILD, HTTP_PORT and HTTPS_PORT of its own"

# port_owner PORT: success, and who it is if we may know, when something listens there
port_owner() {
    local hex inode fd owner
    printf -v hex ':%04X' "$1"
    inode=$(awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port {print $10; exit}' /proc/net/tcp /proc/net/tcp6 2>/dev/null)
    [ -n "$inode" ] || return 1
    for fd in /proc/[0-9]*/fd/*; do
        [ "$(readlink "$fd" 2>/dev/null)" = "socket:[$inode]" ] || continue
        owner=${fd#/proc/} owner=${owner%%/*}
        say "by $(cat "/proc/$owner/comm") (process $owner)"
        return 0
    done
    say "by a process of another user"
}

check_port() { # NAME VALUE
    local owner
    [[ $2 =~ ^[1-9][0-9]{0,4}$ && $2 -le 65535 ]] || die "$1=$2 is not a port: give a number from 1 to 65535"
    owner=$(port_owner "$2") || return 0
    die "port $2 is taken $owner: stop that, or choose another one, for example 'make run $1=$(($2 < 65000 ? $2 + 1 : 15001))'"
}
check_port HTTP_PORT "$HTTP_PORT"
check_port HTTPS_PORT "$HTTPS_PORT"
[ "$HTTP_PORT" != "$HTTPS_PORT" ] || die "HTTP_PORT and HTTPS_PORT are both $HTTP_PORT: give two ports"

# --- certificate ----------------------------------------------------------------------------------------------------

if ! openssl x509 -in "$tls/cert.pem" -noout -checkend 604800 >/dev/null 2>&1 || [ ! -s "$tls/key.pem" ]; then
    out=$(umask 077 && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 397 \
        -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1 \
        -keyout "$tls/key.pem" -out "$tls/cert.pem" 2>&1) || die "openssl made no certificate: $out"
    chmod 0644 "$tls/cert.pem" # the client needs it: curl --cacert
fi

# --- configuration --------------------------------------------------------------------------------------------------

# A unix socket's path has at most 107 bytes.
sockets=$run made=
if [ "$(printf %s "$run" | wc -c)" -gt 90 ]; then
    made=$(mktemp -d) || die "no temporary folder for the socket, as $run is too long a path for it"
    sockets=$made
fi
socket=$sockets/futaie.sock

app='' web='' code=0
alive() { [ -n "$1" ] && kill -0 -- "$1" 2>/dev/null; }
# shellcheck disable=SC2317 # called by stop
await_end() { # PID|-GROUP SECONDS: success when it has ended by then
    local i
    for ((i = 0; i < $2 * 20; i++)); do
        alive "$1" || return 0
        sleep 0.05
    done
    return 1
}
# shellcheck disable=SC2317 # called by the traps
stop() {
    trap '' INT TERM HUP EXIT
    # Its own signal lets requests in flight end, but lighttpd then also waits for connections that a browser only keeps open.
    if alive "$web"; then kill -s "$web_signal" "$web"; await_end "$web" 3 || kill -TERM "$web"; await_end "$web" 3 || kill -KILL "$web"; fi
    if alive "-${web:-none}"; then kill -KILL -- "-$web"; fi # what it has left of itself after a kill -9
    if [ -n "$app" ]; then
        kill -TERM "$app" 2>/dev/null || kill -TERM -- "-$app" 2>/dev/null # the keeper; without it, what it kept
        await_end "-$app" 20 || kill -KILL -- "-$app"
    fi
    rm -rf "$run/web" "$run/$FRONT.conf" "$socket" ${made:+"$made"}
    exit "$code"
}
trap stop EXIT
trap 'code=0; stop' INT TERM HUP

rm -rf "$run/web" "$socket"
mkdir -p "$run/web"
for file in futaie.log access.log error.log; do : >"$log/$file"; done
web_configuration >"$run/$FRONT.conf"
fail() { code=1; printf 'run: %s\n' "$*" >&2; exit 1; }
read -ra serve_args <<<"$SERVE_ARGS"
[ -z "$KEYS" ] || serve_args+=(--keys "$KEYS")
open=1 # whoever reaches the port may ask, where the port is open
case $BIND in 127.* | localhost | '[::1]') open='' ;; esac
case " ${serve_args[*]-}" in *' --keys'[\ =]*) open='' ;; esac
out=$("${web_check[@]}" 2>&1) || fail "$web_name refuses its configuration: $out"
out=$("$FUTAIE" serve -t --models "$MODELS" "${serve_args[@]}" 2>&1) || fail "futaie refuses to start: $out"

# --- start ----------------------------------------------------------------------------------------------------------
# Each in a session of its own, so that Ctrl-C is for this script alone, which knows the order; with a parent-death
# signal, so that even kill -9 of this script leaves nothing running.

setsid setpriv --pdeathsig TERM spawn-fcgi -n -s "$socket" -M 0660 -b 4096 -- \
    "$here/keep.sh" "$FUTAIE" serve --models "$MODELS" "${serve_args[@]}" </dev/null >>"$log/futaie.log" 2>&1 &
app=$!
setsid setpriv --pdeathsig "$web_signal" -- "${web_command[@]}" </dev/null >>"$log/error.log" 2>&1 &
web=$!

target=$BIND
case $BIND in 0.0.0.0) target=127.0.0.1 ;; '[::]') target='[::1]' ;; esac
ready() {
    curl -qsf --noproxy '*' --max-time 1 --cacert "$tls/cert.pem" --connect-to "::$target:$HTTPS_PORT" \
        -o /dev/null "https://localhost:$HTTPS_PORT/readyz" 2>/dev/null
}
app_log() { say "The last lines of $log/futaie.log:"; tail -n 5 "$log/futaie.log"; }
web_log() { say "The last lines of $log/error.log:"; tail -n 5 "$log/error.log"; }

deadline=$((SECONDS + 20))
until ready; do
    alive "$web" || fail "$web_name ended at its start. $(web_log)"
    alive "$app" || fail "futaie ended at its start. $(app_log)"
    ! grep -q '"event":"keep"' "$log/futaie.log" || fail "futaie ended at its start. $(app_log)"
    [ $SECONDS -lt $deadline ] || fail "not ready after 20 seconds. $(app_log)"
    sleep 0.03
done

shown=$target
case $shown in 127.0.0.1 | '[::1]') shown=localhost ;; esac
cacert=${tls#"$PWD"/}/cert.pem
# shellcheck disable=SC2016 # the user's shell is to put the key in
key=${KEYS:+' -H "Authorization: Bearer $FUTAIE_KEY"'}
cat <<EOF

futaie is ready.

  https://$shown:$HTTPS_PORT/     http://$shown:$HTTP_PORT/

EOF
if [ -d "$MODELS/california-housing" ]; then
    path=/predict # the default model's, which this is where it is alone
    set -- "$MODELS"/*/aliases.json
    [ $# = 1 ] || path=/models/california-housing/predict
    cat <<EOF
  curl --cacert $cacert https://$shown:$HTTPS_PORT$path$key \\
    -H 'Content-Type: application/json' \\
    -d '{"features": [[8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]]}'

  curl http://$shown:$HTTP_PORT$path$key \\
    -H 'Content-Type: application/json' \\
    -d '{"features": [[8.3252, 41, 6.9841, 1.023810, 322, 2.5556, 37.88, -122.23]]}'
EOF
else
    cat <<EOF
  curl --cacert $cacert https://$shown:$HTTPS_PORT/models$key      lists the models,
  /models/NAME tells one's features, and POST /models/NAME/predict asks it.
EOF
fi
cat <<EOF

${KEYS:+Keys: $KEYS     }Models: $MODELS     Logs: ${log#"$PWD"/}/futaie.log, access.log, error.log
A change of the models (futaie models promote …) is taken at once.     Ctrl-C stops everything.
EOF

[ -z "$open" ] || cat >&2 <<EOF

WARNING: $BIND is more than loopback, and no keys are asked for: whoever reaches the ports may use the models.
  $FUTAIE keys add LABEL --keys FILE     makes a key; make run KEYS=FILE then asks for it.
EOF

# --- until one of the two ends, or we are told to stop --------------------------------------------------------------

# Both are looked at first: one that has ended already is no job any more, and wait -n would wait for the other alone.
{ alive "$web" && alive "$app" && wait -n "$web" "$app"; } 2>/dev/null
alive "$web" || { wait "$web"; fail "$web_name ended by itself (status $?). $(web_log)"; }
wait "$app"
fail "futaie's keeper ended by itself (status $?). $(app_log)"
}

#!/bin/sh
# keep.sh - run futaie again and again on one listening socket: keep.sh FUTAIE ARGUMENT...
#
# Descriptor 0 is the socket (from spawn-fcgi). It stays open here while futaie comes and goes, so whoever connects in
# between waits in its queue instead of failing: `kill -TERM` of futaie is a restart that loses no request.
# TERM ends futaie, once it has drained, and then this; HUP makes futaie reload. Under systemd a .socket unit does this.

exec 3<&0 # a shell gives /dev/null to what it starts with &, unless told otherwise, and dash loses 0 before it is told
stop=0 started_at=0 quick=0

say() { printf '{"time":"%s","level":"warn","event":"keep","message":"%s"}\n' "$(date -u +%FT%TZ)" "$1" >&2; }
trap 'stop=1; kill -TERM $! 2>/dev/null' TERM
trap 'kill -HUP $! 2>/dev/null' HUP
trap '' INT # Ctrl-C reaches futaie only through TERM, after lighttpd has stopped

while [ "$stop" = 0 ]; do
    started_at=$(date +%s)
    { trap '' HUP; exec "$@"; } <&3 3<&- & # until it takes HUP itself, one must not end it
    [ "$stop" = 0 ] || kill -TERM $! # told to stop while it was being started
    while wait $!; status=$?; kill -0 $! 2>/dev/null; do :; done # a signal ends wait, not futaie
    [ "$stop" = 0 ] || break

    if [ "$status" = 0 ] || [ "$(date +%s)" -gt $((started_at + 1)) ]; then quick=0; else quick=$((quick + 1)); fi
    say "futaie ended with status $status and is started again"
    if [ "$quick" -gt 4 ]; then
        say "futaie ended at once $quick times in a row: waiting before the next start"
        sleep $((quick > 14 ? 10 : quick - 4)) &
        wait $!
    fi
done

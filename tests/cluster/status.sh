#!/bin/sh
# What became of a job: success, failed or running.
if [ -s "$1/status" ]; then
    read -r status <"$1/status"
    [ "$status" = 0 ] && echo success || echo failed
elif kill -0 "$(cat "$1/pid")" 2>/dev/null; then
    echo running
else
    sleep 0.2 # it may have written its status just now
    [ "$(cat "$1/status" 2>/dev/null)" = 0 ] && echo success || echo failed
fi

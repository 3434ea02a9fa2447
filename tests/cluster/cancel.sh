#!/bin/sh
# End jobs.
for job in "$@"; do
    kill "$(cat "$job/pid")" 2>/dev/null || true
done

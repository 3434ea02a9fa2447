#!/bin/sh
# A scheduler as small as can be: submit.sh MINUTES SCRIPT starts the script in the background and
# prints an id, the folder in which its exit status will be.
set -eu
job=$(mktemp -d "$PWD/.snakemake/job.XXXXXX")
(
    status=0
    timeout "$((60 * $1))" sh "$2" || status=$?
    echo "$status" >"$job/status"
) >"$job/log" 2>&1 </dev/null &
echo "$!" >"$job/pid"
echo "$job"

#!/usr/bin/env bash
# Runs inside the conda environment that Snakemake made from descentflow.yaml: the locked packages,
# then the package of this checkout (Snakemake runs in the workflow's working directory).
set -euo pipefail
python -m pip install --quiet --require-hashes --requirement envs/requirements.lock \
  --requirement envs/build.lock
python -m pip install --quiet --no-deps --no-build-isolation .

"""Run a job's stage, or take its outputs from a shared cache: ``python -m descentflow.stages …``.

The stage is the one that the job names, the arguments are those of its own command,
``python -m descentflow.stages.STAGE``. Where the variable DESCENTFLOW_CACHE names a folder, the
outputs are looked for there first and kept there afterwards. Where DESCENTFLOW_SCRATCH names a
folder, on a cluster the node's own disk, kernels are compiled there. Elsewhere, and where
DESCENTFLOW_FORK_SERVER names a process that is ready for work, the job runs in a fork of that.
"""

import argparse
import json
import os
import sys
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path

from descentflow.errors import InputError
from descentflow.runtime import fork_server, result_cache
from descentflow.runtime.kernel_scratch import local_kernels
from descentflow.runtime.lifetime import end_with_head
from descentflow.stages import STAGES, TRAINERS


def main() -> None:
    """Run the stage that the job names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True)
    parser.add_argument("--input", nargs="*", type=Path, default=[], metavar="FILE")
    parser.add_argument("--output", nargs="+", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    end_with_head()
    modules, code = _modules(arguments.job)
    try:
        cache = result_cache.folder()
    except InputError as refusal:
        sys.exit(f"error: {refusal}")
    key = ""
    if cache and all(path.is_file() for path in arguments.input):
        with suppress(OSError):  # an input that cannot be read: the stage says so
            key = result_cache.key_of(arguments.job, arguments.input, arguments.output)
        if key and result_cache.fetch(cache, key, arguments.output):
            return
    scratch = os.environ.get("DESCENTFLOW_SCRATCH")
    status = None if scratch else fork_server.delegate(modules)
    if status:
        sys.exit(status)
    if status is None:
        with local_kernels(Path(scratch), code) if scratch else nullcontext():
            import_module(modules[0]).STAGE.main()
    if cache and key:
        result_cache.store(cache, key, arguments.output)


def _modules(job: str) -> tuple[list[str], str]:
    """Return a job's stage and trainer, and its code; ends the process where it names no stage."""
    try:
        named = json.loads(job)
        stage, trainer, code = named["stage"], named.get("trainer"), named.get("code")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        stage = trainer = code = None
    if stage not in STAGES:
        sys.exit(f"error: --job: needs a key 'stage', one of {', '.join(STAGES)}; found {stage!r}")
    trainers = [f"descentflow.stages.trainers.{trainer}"] if trainer in TRAINERS else []
    return [f"descentflow.stages.{stage}", *trainers], str(code)


if __name__ == "__main__":
    main()

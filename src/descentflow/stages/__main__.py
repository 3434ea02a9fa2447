"""Run a stage, or take its outputs from a shared cache: ``python -m descentflow.stages STAGE …``.

The arguments after STAGE are those of ``python -m descentflow.stages.STAGE``. Where the variable
DESCENTFLOW_CACHE names a folder, the outputs are looked for there first and kept there afterwards.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from descentflow.stages import cache

STAGES = ("sample", "train", "aggregate", "draw", "judge")


def main() -> None:
    """Run the stage named by the first argument."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--job", required=True)
    parser.add_argument("--input", nargs="*", type=Path, default=[], metavar="FILE")
    parser.add_argument("--output", nargs="+", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    folder = os.environ.get("DESCENTFLOW_CACHE")
    key = ""
    if folder and all(path.is_file() for path in arguments.input):
        key = cache.key_of(arguments.job, arguments.input, arguments.output)
        if cache.fetch(Path(folder), key, arguments.output):
            return
    del sys.argv[1]
    import_module(f"descentflow.stages.{arguments.stage}").main()
    if folder and key:
        cache.store(Path(folder), key, arguments.output)


if __name__ == "__main__":
    main()

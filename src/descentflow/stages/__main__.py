"""``python -m descentflow.stages --job …``: the stage that the job names, as a command."""

import argparse
import json
import sys
from importlib import import_module

STAGES = (
    "sample",
    "train",
    "aggregate",
    "sample_deep",
    "gram_deep",
    "train_deep",
    "aggregate_deep",
    "draw",
    "judge",
)


def main() -> None:
    """Run the stage's own command with the same arguments."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--job", default="{}")
    try:
        stage = json.loads(parser.parse_known_args()[0].job)["stage"]
    except (json.JSONDecodeError, KeyError, TypeError):
        stage = None
    if stage not in STAGES:
        sys.exit(f"error: --job: needs a key 'stage', one of {', '.join(STAGES)}; found {stage!r}")
    import_module(f"descentflow.stages.{stage}").main()


if __name__ == "__main__":
    main()

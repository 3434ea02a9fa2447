"""Stage draw: the figures of one study, in every format."""

from importlib import import_module
from pathlib import Path
from typing import Any

from descentflow import store
from descentflow.figures import style
from descentflow.stages import command


def draw(job: dict[str, Any], inputs: list[Path], outputs: list[Path]) -> None:
    """Draw each figure named by the output files from the study's dataset."""
    dataset = store.read(inputs[0])
    module = import_module(f"descentflow.figures.{job['spec']['study']}")
    for figure in dict.fromkeys(path.stem for path in outputs):
        with style.paper():
            drawn = getattr(module, figure)(dataset)
            for path in outputs:
                if path.stem == figure:
                    style.save(drawn, path)


if __name__ == "__main__":
    command.run(draw, "Draw a study's figures.")

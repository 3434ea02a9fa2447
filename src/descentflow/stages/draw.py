"""The stage draw: write the figures of one study as files, from its dataset."""

from importlib import import_module

from descentflow.config.catalogue import FIGURE_FORMATS, STUDIES
from descentflow.config.study import ANY_NAME
from descentflow.datasets import netcdf
from descentflow.errors import InputError
from descentflow.stages.command import Stage, Task
from descentflow.stages.study_specs import DrawSpec
from descentflow.studies import style


def draw(task: Task[DrawSpec]) -> None:
    """Draw each figure named by the output files from the study's dataset.

    A figure that any experiment has is drawn for the one that its folder is named after.
    """
    study, outputs = task.spec.study, task.outputs
    for path in outputs:
        if path.stem not in STUDIES[study].figures or path.suffix[1:] not in FIGURE_FORMATS:
            allowed = ", ".join(STUDIES[study].figures)
            formats = ", ".join(FIGURE_FORMATS)
            raise InputError(f"{path}: no figure of {study}; allowed: {allowed} as {formats}")
    look = task.spec.look
    module = import_module(f"descentflow.studies.{study}.figures")
    with netcdf.opened_study(task.inputs[0], study) as dataset:
        present = netcdf.spec_of(dataset, task.inputs[0]).get("experiments", ())
        for name in dict.fromkeys(path.with_suffix("") for path in outputs):
            experiment, runs = STUDIES[study].figures[name.name].experiment, dataset
            if experiment == ANY_NAME:
                experiment = name.parent.name
                runs = style.experiment(dataset, experiment)
            if experiment not in present:
                raise InputError(
                    f"{name}: needs the experiment {experiment}, which {task.inputs[0]} lacks"
                )
            with style.paper(look):
                drawing = getattr(module, name.name)(runs)
                width, height = drawing.get_size_inches()
                drawing.set_size_inches(width * look.scale(width), height)
                style.save(drawing, [path for path in outputs if path.with_suffix("") == name])


STAGE = Stage(draw, DrawSpec, 1, one_output=False)


if __name__ == "__main__":
    STAGE.main()

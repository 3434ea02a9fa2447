"""What kernels and processes cost on one machine: the constants behind ``descentflow estimate``.

They stand in ``calibration.json`` beside this file, with where they were measured, and nowhere else.
``benchmarks/calibrate.py`` measures them anew. They place no segment boundary and enter no id.
"""

import json
from functools import cache
from pathlib import Path

from descentflow.errors import InputError
from descentflow.schema.model import Model, Positive, parse

SHIPPED = Path(__file__).parent / "calibration.json"

ByWidth = dict[int, Positive]
"""Something that grows with the number of hidden neurons, at several of these numbers."""


class Calibration(Model):
    """Seconds of one core's processor time, and megabytes of memory, of what jobs are made of."""

    measured: dict[str, str]
    """Where: processor, versions."""

    start_seconds: dict[str, Positive]
    """A stage's process before and after its work: imports, kernels from the cache, compiling."""

    start_megabytes: dict[str, Positive]
    """Peak memory of a stage's process that does next to nothing."""

    descent_step: ByWidth
    """Gradient descent on an interval by closed forms: one step of one initialisation."""

    descent_node: Positive
    """Gradient descent by a sample or rule: one step, per point and hidden neuron and input."""

    flow_step: ByWidth
    """Gradient flow by closed forms: one step of the integrator."""

    flow_node: Positive
    """Gradient flow by a rule: one step of the integrator, per hidden neuron."""

    flow_end: ByWidth
    """Finishing the end of one flow, when its study is aggregated."""

    jump_end: Positive
    """The same for a target with a jump, where there is no end to be found."""

    draw_entry: Positive
    """Drawing one standard normal number and hashing it."""

    deep_step: Positive
    """One step of gradient descent of a deep network, per weight."""

    deep_product: Positive
    """The same, what each input (and pixel) adds, per weight."""

    deep_record: Positive
    """One record of a deep network, in steps."""

    deep_gram: Positive
    """One Gram matrix at the start, per weight and input (and pixel)."""

    written_number: Positive
    """Writing one number to a file and its digest."""

    checked_number: Positive
    """Reading one number from a file and checking the file's digest."""


def load(path: Path = SHIPPED) -> Calibration:
    """The constants of a file; raises InputError, naming the file and the key."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    try:
        return parse(Calibration, found)
    except InputError as refusal:
        raise InputError(f"{path}:\n{refusal}") from None


@cache
def shipped() -> Calibration:
    """The constants that come with the package."""
    return load()

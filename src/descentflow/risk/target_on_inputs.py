"""Whether a target can be integrated over a law of inputs."""

from functools import lru_cache

import numpy as np

from descentflow.errors import ConfigurationError, InputError
from descentflow.functions.data_points import Points
from descentflow.functions.input_laws import InputLaw, IntervalLaw, Normal
from descentflow.functions.labels import Values
from descentflow.functions.targets import FunctionTarget, Target
from descentflow.schema.messages import ConfigProblem

TAIL = 1e-10
"""A target times the root of the density may be this large at the ends, relative to its maximum."""


@lru_cache(maxsize=256)
def mismatch(inputs: InputLaw, target: Target, output: int) -> ConfigProblem | None:
    """Say why a target cannot be integrated over the inputs, with the path of the key in the target.

    Cached, because finding the kinks of a formula takes long and sweeps ask for the same pairs.
    """
    try:
        if isinstance(target, Values):
            target.read(inputs)
        elif not inputs.finite:
            law = on_interval(inputs)
            target.piecewise_form(law.low, law.high, law.root_of_density)
            if isinstance(law, Normal):
                _check_tails(law, target)
        elif not np.isfinite(target.at_points(inputs.sample()[0], output)).all():
            return (), "no number at a point"
    except ConfigurationError as error:
        return error.where, error.text
    return None


def _check_tails(law: Normal, target: FunctionTarget) -> None:
    """Raise ConfigurationError if a target is large where a normal law is cut off."""
    x = np.linspace(law.low, law.high, 2001)
    weighted = np.abs(target.evaluate(x) * law.root_of_density(x))
    if max(weighted[0], weighted[-1]) > TAIL * weighted.max():
        raise ConfigurationError(
            "grows too fast for the normal law: its risk lies far out or is infinite"
        )


def on_interval(inputs: InputLaw) -> IntervalLaw:
    """Return a law on an interval as it is; raise InputError for laws on points."""
    if isinstance(inputs, Points) or inputs.finite:
        raise InputError("inputs: a law on an interval is needed")
    return inputs

"""Configurations of the deep study: what is valid, and what is refused where and how."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deep_jobs import FRACTION, IMAGES, descent, limit, start

from descentflow.config import validate
from descentflow.deep.data import DrawnLabels, Sphere
from descentflow.deep.experiment import (
    AtStart,
    Descending,
    Limit,
    StabilityFraction,
)
from descentflow.errors import ConfigurationError

REPOSITORY = Path(__file__).parents[3]
PREFIX = "studies.overparameterized"


def refusal(experiment: str, setting: dict[str, Any]) -> str:
    studies = {"overparameterized": {experiment: setting}}
    with pytest.raises(ConfigurationError) as refused:
        validate.check({"seed": 1, "studies": studies})
    return str(refused.value)


def changed(setting: dict[str, Any], **keys: Any) -> dict[str, Any]:
    """With keys replaced, ``__`` for dots; None leaves one out."""
    for key, value in keys.items():
        block, _, name = key.partition("__")
        inner = {**setting[block], name: value} if name else value
        setting = {**setting, block: inner}
    return {key: value for key, value in setting.items() if value is not None}


def points(*rows: Any) -> dict[str, Any]:
    return {"law": "points", "points": list(rows)}


# ---- what is valid


def test_three_kinds() -> None:
    """Sweeps expand as everywhere."""
    kinds = ((start(), AtStart), (descent(), Descending), (limit(), Limit))
    for setting, kind in kinds:
        runs, problems = validate.expand(setting, kind)
        assert not problems
        assert all(type(run) is kind for run in runs)
    assert [run.network.depth for run in validate.expand(limit(), Limit)[0]] == [2, 3]


def test_step_sizes_are_numbers_or_fractions() -> None:
    sizes = [{"stability_fraction": "0.5"}, "1e-2"]
    runs, problems = validate.expand(
        changed(descent(), sweep={"training.step_size": sizes}), Descending
    )
    assert not problems
    found = [run.training.step_size for run in runs]
    assert found == [StabilityFraction(stability_fraction=0.5), 0.01]


def test_the_cluster_configuration_is_valid() -> None:
    _, blocks = validate.check(validate.load(REPOSITORY / "config" / "cluster.yaml"))
    widths = {run.network.width for run in blocks["overparameterized"]["concentration"]}
    assert max(widths) == 8192


@pytest.mark.parametrize("law", ["signs", "normal"])
def test_data_are_functions_of_the_seed(law: Any) -> None:
    """On the sphere, the same for every network, others for another seed."""
    sphere = Sphere(law="sphere", number=5, dimension=2, pixels=3)
    first, again, other = (sphere.draw(seed) for seed in (1, 1, 2))
    assert first.shape == (5, 3, 2)
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()
    np.testing.assert_allclose((first**2).sum(axis=(1, 2)), 1.0, rtol=1e-14)
    labels = DrawnLabels(law=law).draw(200, 1)
    assert (np.abs(labels) == 1.0).all() == (law == "signs")
    assert abs(labels.mean()) < 0.3


# ---- what is refused


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (([1, 0], [2, 0]), "rows 0 and 1 are parallel, with equal directions"),
        (([1, 0], [0, 1], [-2, 0]), "rows 0 and 2 are parallel, with opposite directions"),
        (([1, 0], [0, 0]), "number 1 is zero"),
        (([1, 0], [1, 0, 1]), "all of one length"),
    ],
)
def test_inputs_without_a_gram_matrix(rows: Any, text: str) -> None:
    """Parallel or zero, listed; limits refuse them as well."""
    for experiment, setting in (("training", descent()), ("depth", limit())):
        message = refusal(experiment, changed(setting, inputs=points(*rows)))
        assert message.startswith(f"{PREFIX}.{experiment}.inputs.points: ")
        assert text in message


def test_parallel_images_are_refused() -> None:
    image = [[1.0, 0.0], [0.5, 0.5]]
    double = [[2.0, 0.0], [1.0, 1.0]]
    setting = changed(
        start("convolutional_residual"), inputs={"law": "images", "images": [image, double]}
    )
    message = refusal("concentration_images", setting)
    assert message.startswith(f"{PREFIX}.concentration_images.inputs.images: images 0 and 1 are")


def test_the_sphere_of_one_dimension_is_refused() -> None:
    message = refusal("concentration", changed(start(), inputs__dimension=1))
    assert message.startswith(f"{PREFIX}.concentration.inputs.dimension: ")
    assert "parallel" in message


@pytest.mark.parametrize(
    ("keys", "path", "text"),
    [
        ({"inputs": IMAGES}, "inputs.pixels", "only for convolutional_residual"),
        ({"network__architecture": "convolutional_residual"}, "inputs.pixels", "needed by"),
        ({"network__architecture": "recurrent"}, "network.architecture", "allowed: fully"),
        ({"network__depth": 1}, "network.depth", "at least 2"),
        ({"network__width": None}, "network.width", "None"),
        ({"network__residual_scale": 1.0}, "network.residual_scale", "less than 1"),
        ({"network__activation": "step"}, "network.activation", "allowed: softplus"),
        ({"labels": None}, "labels", "required"),
        ({"labels": {"law": "listed", "values": [1, 2]}}, "labels.values", "2 labels for 3"),
        ({"labels": {"law": "sign"}}, "labels.law", "did you mean 'signs'"),
        ({"training__step_size": {"lyapunov_fraction": 1}}, None, "stability_fraction"),
        ({"training__step_size": 0}, "training.step_size", "greater than 0"),
        ({"training__method": "gf"}, "training.method", "unknown key"),
        ({"initialization__law": "normal"}, "initialization.law", "unknown key"),
        ({"target": {"kind": "constant"}}, "target", "unknown key"),
        ({"sweep": {"training.steps": [1, 2]}}, "sweep.training.steps", "cannot be swept"),
        ({"sweep": {"target": [1]}}, "sweep.target", "keys below inputs, network"),
        ({"sweep": {"network.depth": [2, 0]}}, "sweep.network.depth[1]", "0"),
    ],
)
def test_refusals_name_path_and_what_is_allowed(
    keys: dict[str, Any], path: str | None, text: str
) -> None:
    message = refusal("training", changed(descent(), **keys))
    assert text in message
    if path is not None:
        assert f"{PREFIX}.training.{path}: " in message


def test_kinds_do_not_mix() -> None:
    """Limits have no initialisations, starts no training."""
    assert f"{PREFIX}.depth.initialization: unknown key" in refusal("depth", start())
    assert f"{PREFIX}.concentration.training: unknown key" in refusal("concentration", descent())
    assert FRACTION

"""descentflow animate: the runs of a finished workflow, trained again with θ along them."""

from pathlib import Path

import numpy as np
import pytest
from checkout import TINY, Checkout

from descentflow.config import validate
from descentflow.datasets import netcdf
from descentflow.errors import InputError
from descentflow.planning.jobs import Jobs, lock_digest
from descentflow.stages import animate


@pytest.fixture
def jobs(finished: Checkout, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.chdir(finished.root)
    mapping = validate.load(TINY)
    return Jobs.from_mapping(mapping, lock_digest(Path("envs/requirements.lock")))


def test_a_page_for_each_study_or_as_chosen(jobs: Jobs, tmp_path: Path) -> None:
    names = [path.name for path in animate.animate(jobs, tmp_path, [])]
    assert names == ["constant_targets.convergence.html", "random_initializations.success.html"]
    chosen = ["constant_targets.step_sizes"]
    (page,) = animate.animate(jobs, tmp_path, chosen)
    assert "constant_targets.step_sizes, relu, 4 neurons, gd" in page.read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 3


def test_runs_move_as_they_did(jobs: Jobs) -> None:
    """Bit by bit, where both have a record."""
    run = animate._run(jobs, "random_initializations.success")
    again = animate._trained(jobs, run)
    files = [
        jobs.train(run.id, run.chunks[0], number).outputs[0] for number in range(len(run.segments))
    ]
    for file in files:
        recorded = netcdf.read(Path(file)).isel(size=0)
        steps = np.intersect1d(recorded["step"].values, again["step"].values)
        assert len(steps)
        first, second = (data["risk"].sel(step=steps).values for data in (recorded, again))
        np.testing.assert_array_equal(first, second)


def test_what_cannot_be_shown_is_told(jobs: Jobs, tmp_path: Path) -> None:
    for name in ("blow_up.affine", "constant_targets", "random_initializations.other"):
        with pytest.raises(
            InputError, match=rf"{name}: no experiment .* allowed: constant_targets"
        ):
            next(animate.animate(jobs, tmp_path, [name]))


def test_starts_must_be_there(jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"samples/.*: not there yet; run the workflow first"):
        next(animate.animate(jobs, tmp_path, []))

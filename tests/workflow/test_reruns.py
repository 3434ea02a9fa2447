"""What Snakemake reruns after a change, and what it leaves alone."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from checkout import REPOSITORY, Checkout, Configuration, experiments, outputs, rules

from descentflow.datasets import netcdf

STUDIES = ("constant_targets", "random_initializations")
SHOWN = dict.fromkeys((*STUDIES, "claims"), 1)
RECORDED = ("risk", "gradient_norm", "parameter_norm")


def set_key(study: str, block: str, key: str, value: Any) -> Callable[[Configuration], None]:
    """A change of one key in every experiment of a study."""

    def change(configuration: Configuration) -> None:
        for experiment in experiments(configuration, study):
            experiment[block][key] = value

    return change


def drop(study: str) -> Callable[[Configuration], object]:
    """Leave a study out."""
    return lambda configuration: configuration["studies"].pop(study)


def digests(checkout: Checkout) -> dict[Path, bytes]:
    """The bytes of everything computed but logs."""
    files = [*checkout.files("results"), *checkout.files("figures")]
    return {path: (checkout.root / path).read_bytes() for path in files if path.suffix != ".log"}


# ---- nothing has changed


def test_the_copy_is_what_runs(checkout: Checkout) -> None:
    """Not the installed package: neither by hand nor in Snakemake, which made two segments."""
    where = checkout.python("-c", "import descentflow; print(descentflow.__file__)").text
    assert Path(where.strip()) == checkout.root / "src" / "descentflow" / "__init__.py"
    assert [path.name for path in checkout.files("results/runs")].count("0-15.1.nc") == 1


def test_nothing_to_do_right_after(checkout: Checkout) -> None:
    assert checkout.planned() == []


def test_touching_every_file_reruns_nothing(checkout: Checkout) -> None:
    """All files at once, then every file later than what was made from it."""
    folders = ("figures", "results/datasets", "results/runs", "results/samples", "results/logs")
    sources = ("src", "workflow", "profiles", "envs")
    now = time.time_ns()
    for file in (path for folder in (".", *sources) for path in checkout.files(folder)):
        if ".snakemake" not in file.parts:
            os.utime(checkout.root / file, ns=(now, now))
    assert checkout.planned() == []
    for later, folder in enumerate((*folders, *sources)):
        for file in checkout.files(folder):
            os.utime(checkout.root / file, ns=(now, now + later * 10**6))
    for name in ("Snakefile", "config.yaml", "tiny.yaml"):
        os.utime(checkout.root / name)
    assert checkout.planned() == []


def test_moving_the_checkout_reruns_nothing(checkout: Checkout) -> None:
    moved = checkout.moved(checkout.root.with_name("another name"))
    where = moved.python("-c", "import descentflow; print(descentflow.__file__)").text
    assert "another name" in where
    assert moved.planned() == []


@pytest.mark.parametrize("seed", ["0", "424242"])
def test_the_hash_seed_reruns_nothing(warm: Checkout, seed: str) -> None:
    assert warm.planned(PYTHONHASHSEED=seed) == []


# ---- code


@pytest.mark.parametrize("study", STUDIES)
def test_editing_figures_redraws_their_study(checkout: Checkout, study: str) -> None:
    checkout.edit(f"src/descentflow/figures/{study}.py")
    assert rules(checkout.planned()) == {study: 1}


def test_editing_the_style_redraws_everything(checkout: Checkout) -> None:
    checkout.edit("src/descentflow/figures/style.py")
    assert rules(checkout.planned()) == dict.fromkeys((*STUDIES, "claims"), 1)


def test_editing_claims_judges_again(checkout: Checkout) -> None:
    checkout.edit("src/descentflow/claims/constant_targets.py")
    assert rules(checkout.planned()) == {"judge": 1, "claims": 1}


def test_editing_measures_keeps_the_runs(checkout: Checkout) -> None:
    checkout.edit("src/descentflow/measures/constant_targets.py")
    planned = rules(checkout.planned())
    assert planned["sample"] == planned["train"] == planned["random_initializations"] == 0
    assert planned["aggregate"] == planned["constant_targets"] == planned["judge"] == 1


def test_editing_a_kernel_retrains(checkout: Checkout) -> None:
    """Everything but the samples, which have no kernels."""
    checkout.edit("src/descentflow/risk/closed_form_gradient.py")
    expected = {"train": 3, "aggregate": 2, "judge": 1, **SHOWN}
    assert rules(checkout.planned()) == expected


def test_changing_the_lock_file_changes_every_id(checkout: Checkout) -> None:
    checkout.edit("envs/requirements.lock", "# another package\n")
    planned = checkout.planned()
    expected = {"sample": 1, "train": 3, "aggregate": 2, "judge": 1, **SHOWN}
    assert rules(planned) == expected
    written = {Path(path) for rule in ("sample", "train") for path in outputs(planned, rule)}
    ids = {path.parent.name for path in written}
    assert len(ids) == 3
    assert not ids & {path.parent.name for path in checkout.files("results")}


# ---- configuration


def test_more_initializations_compute_new_chunks_only(warm: Checkout) -> None:
    """Of the study that asks for them; the other one keeps its files and figures."""
    warm.configure(set_key("random_initializations", "initialization", "count", 20))
    planned = warm.planned()
    assert rules(planned) == {
        **dict.fromkeys(("sample", "train", "aggregate", "judge", "claims"), 1),
        "random_initializations": 1,
    }
    new = [*outputs(planned, "sample"), *outputs(planned, "train")]
    assert [Path(path).name for path in new] == ["16-31.nc", "16-31.0.nc"]
    old = {path.parent for path in warm.files("results")}
    assert {Path(path).parent for path in new} <= old


def test_fewer_initializations_compute_nothing_new(warm: Checkout) -> None:
    warm.configure(set_key("random_initializations", "initialization", "count", 10))
    planned = rules(warm.planned())
    assert planned["sample"] == planned["train"] == planned["constant_targets"] == 0
    assert planned["aggregate"] == 1


@pytest.mark.parametrize(
    ("study", "steps", "segments"),
    [
        ("constant_targets", 15_000, ["0-15.1.nc"]),
        ("constant_targets", 25_000, ["0-15.1.nc"]),
        ("constant_targets", 40_000, ["0-15.1.nc", "0-15.2.nc"]),
        ("random_initializations", 120_000, ["0-15.1.nc"]),
    ],
)
def test_other_horizons_compute_the_last_segments_only(
    warm: Checkout, study: str, steps: int, segments: list[str]
) -> None:
    """A finished segment that ends at a boundary stays, an unfinished one is done again."""
    warm.configure(set_key(study, "training", "steps", steps))
    planned = warm.planned()
    assert [Path(path).name for path in outputs(planned, "train")] == segments
    assert rules(planned)["sample"] == 0
    assert rules(planned)["aggregate"] == 1


def common_records(short: xr.Dataset, long: xr.Dataset) -> None:
    """Records of both at the same steps have the same bits."""
    both = np.intersect1d(short["step"].values[0], long["step"].values[0])
    assert len(both) >= short.sizes["record"] - 1
    for name in RECORDED:
        rows = [
            dataset[name].values[:, :, np.isin(dataset["step"].values[0], both)].tobytes()
            for dataset in (short, long)
        ]
        assert rows[0] == rows[1], name


def test_a_longer_run_has_the_bits_of_a_fresh_one(
    finished: Checkout, warm: Checkout, fresh: Checkout
) -> None:
    """More steps, on top of what is there and from nothing: the same datasets, byte by byte."""
    datasets = [f"results/datasets/{study}.nc" for study in STUDIES]
    for checkout in (warm, fresh):
        checkout.configure(
            set_key("constant_targets", "training", "steps", 25_000),
            set_key("random_initializations", "training", "steps", 120_000),
        )
    assert rules(warm.executed(*datasets)) == {"train": 2, "aggregate": 2}
    assert rules(fresh.executed(*datasets)) == {"sample": 1, "train": 4, "aggregate": 2}
    for path in datasets:
        longer, anew = warm.root / path, fresh.root / path
        assert longer.read_bytes() == anew.read_bytes()
        common_records(netcdf.read(finished.root / path), netcdf.read(longer))


def test_another_seed_starts_anew(warm: Checkout) -> None:
    planned = rules(warm.planned("--config", "seed=8"))
    assert (planned["sample"], planned["train"], planned["aggregate"]) == (1, 3, 2)


# ---- parts


def test_one_study_by_name(warm: Checkout) -> None:
    """``snakemake <study>`` draws that study alone, with the bytes it had."""
    before = digests(warm)
    for file in warm.files("figures"):
        (warm.root / file).unlink()
    assert rules(warm.executed("constant_targets")) == {"constant_targets": 1}
    drawn = warm.files("figures")
    assert {path.parts[1] for path in drawn} == {"constant_targets"}
    assert len(drawn) == 6
    after = digests(warm)
    assert all(after[path] == before[path] for path in after)


def test_one_study_by_name_from_nothing(fresh: Checkout) -> None:
    expected = {"sample": 1, "train": 2, "aggregate": 1, "constant_targets": 1}
    assert rules(fresh.planned("constant_targets")) == expected


@pytest.mark.parametrize("study", STUDIES)
def test_a_configuration_of_one_study_runs_that_one(fresh: Checkout, study: str) -> None:
    """Although config.yaml has both."""
    (other,) = set(STUDIES) - {study}
    fresh.configure(drop(other))
    planned = fresh.planned()
    assert rules(planned)[study] == rules(planned)["aggregate"] == rules(planned)["judge"] == 1
    assert rules(planned)["train"] == {"constant_targets": 2}.get(study, 1)
    assert not any(other in path for job in planned for path in job.outputs)


def test_the_front_door_reads_the_shipped_configuration(fresh: Checkout, tmp_path: Path) -> None:
    """Plain ``snakemake`` plans config.yaml; an option beside it keeps its studies."""
    fresh = fresh.copy(tmp_path / "own", own_source=True)
    plan = "src/descentflow/plan.py"
    shutil.copy2(REPOSITORY / plan, fresh.root / plan)
    shipped = fresh.planned(config=None)
    assert all(rules(shipped)[study] == 1 for study in STUDIES)
    other = fresh.planned("--config", "seed=3", config=None)
    assert rules(other) == rules(shipped)
    assert not set(outputs(other, "train")) & set(outputs(shipped, "train"))


def test_other_folders_for_results_and_figures(fresh: Checkout) -> None:
    """``outputs`` moves everything."""
    fresh.configure(lambda c: c.update(outputs={"results": "r/s", "figures": "f g"}))
    planned = fresh.planned()
    assert {path.split("/")[0] for job in planned for path in job.outputs} == {"r", "f g"}


# ---- losses


def test_a_deleted_dataset_is_rebuilt_without_training(warm: Checkout) -> None:
    """With the bytes it had, after which nothing else is out of date."""
    path = "results/datasets/constant_targets.nc"
    before = (warm.root / path).read_bytes()
    (warm.root / path).unlink()
    whole = rules(warm.planned())
    assert whole["sample"] == whole["train"] == whole["random_initializations"] == 0
    assert rules(warm.executed(path)) == {"aggregate": 1}
    assert (warm.root / path).read_bytes() == before
    assert warm.planned() == []


def test_leftovers_of_killed_jobs_are_swept(warm: Checkout) -> None:
    """Of the files that are made again; what another job may be writing stays."""
    (sample,) = (path for path in warm.files("results/samples") if path.suffix == ".nc")
    before = (warm.root / sample).read_bytes()
    (warm.root / sample).unlink()
    stale = warm.root / sample.with_name(f".{sample.name}.0badcafe.part")
    alive = warm.root / sample.with_name(".16-31.nc.0badcafe.part")
    for path in (stale, alive):
        path.write_bytes(b"half a file")
    assert rules(warm.executed(str(sample))) == {"sample": 1}
    assert not stale.exists()
    assert alive.exists()
    assert (warm.root / sample).read_bytes() == before

"""Packages other than the lock file's are named before anything runs, and recorded afterwards."""

import copy
import json
from importlib.metadata import version
from pathlib import Path

import pytest
import xarray as xr
from in_process import do_all
from small_results import CONFIG

from descentflow.errors import InputError
from descentflow.planning import versions
from descentflow.planning.jobs import Jobs

LOCK = """\
numpy=={numpy} \\
    --hash=sha256:00
    # via scipy
no-such-package==1.0
colorama==0.0 ; sys_platform == 'nowhere' \\
    --hash=sha256:00
"""


def lock(folder: Path, numpy: str) -> Path:
    path = folder / "requirements.lock"
    path.write_text(LOCK.format(numpy=numpy))
    versions.differing.cache_clear()
    return path


def test_what_differs_is_found(tmp_path: Path) -> None:
    """Not what a marker leaves out."""
    assert versions.differing(lock(tmp_path, version("numpy"))) == {"no-such-package": "absent"}
    differing = versions.differing(lock(tmp_path, "1.0"))
    assert differing == {"numpy": version("numpy"), "no-such-package": "absent"}


def test_a_run_stops_with_one_line_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lock(tmp_path, "1.0")
    monkeypatch.delenv(versions.ALLOWED, raising=False)
    with pytest.raises(InputError) as refusal:
        versions.checked(path)
    line = str(refusal.value)
    assert "\n" not in line
    assert f"numpy {version('numpy')} (not 1.0), no-such-package absent (not 1.0)" in line
    assert "--allow-versions" in line
    monkeypatch.setenv(versions.ALLOWED, "1")
    assert versions.checked(path) == versions.differing(path)
    assert capsys.readouterr().err.count("\n") == 1


def test_jobs_and_datasets_record_them_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids, and jobs where nothing differs, are what they were."""
    monkeypatch.chdir(tmp_path)
    mapping = copy.deepcopy(CONFIG)
    plain = Jobs.from_mapping(mapping, "lock")
    other = Jobs.from_mapping(mapping, "lock", {"scipy": "2.0", "numpy": "1.0"})
    for one, two in zip(plain.all(), other.all(), strict=True):
        assert one.outputs == two.outputs
        job = json.loads(two.json)
        assert job.pop("versions") == {"scipy": "2.0", "numpy": "1.0"}
        assert job == json.loads(one.json)
    datasets = []
    for jobs in (plain, other):
        do_all(jobs, "certify", "sample", "train", "aggregate")
        with xr.open_dataset("results/datasets/random_initializations.nc") as dataset:
            datasets.append(dict(dataset.load().attrs))
    recorded = datasets[1].pop("versions_other_than_the_lock_file")
    assert recorded == "numpy 1.0, scipy 2.0"
    assert datasets[0].pop("content_digest") != datasets[1].pop("content_digest")
    assert datasets[0] == datasets[1]

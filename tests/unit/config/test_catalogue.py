"""The catalogue of studies: what each folder declares fits together."""

import subprocess
import sys
from importlib import import_module

import pytest

from descentflow.config import catalogue
from descentflow.config.catalogue import FOLDER, STUDIES

ORDER = ("constant_targets", "random_initializations", "gradient_flows", "blow_up")


def test_studies_are_the_folders_in_their_order() -> None:
    assert (*ORDER, "overparameterized", "optimizers", "deep_networks", "explore") == tuple(STUDIES)
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert folders == set(STUDIES)
    assert len(STUDIES) == len(folders)
    assert "claim" not in STUDIES
    with pytest.raises(KeyError):
        STUDIES["no_such_study"]


@pytest.mark.parametrize("name", STUDIES)
def test_what_is_declared_exists(name: str) -> None:
    """Experiments of figures and required ones, functions that draw, captions, the page."""
    study = STUDIES[name]
    figures = import_module(f"descentflow.studies.{name}.figures")
    for figure, declared in study.figures.items():
        assert declared.experiment in study.experiments
        assert callable(getattr(figures, figure))
        assert (FOLDER / name / "captions" / f"{figure}.rst").is_file()
    for kind in study.experiments.values():
        if kind.required_experiments:
            assert set(kind.required_experiments.names) <= set(study.experiments)
        for check in kind.constraints:
            assert (check.find.__doc__ or "").strip(), check
            assert set(check.fields) <= set(kind.model.model_fields)


def test_a_folder_with_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    found = catalogue._Catalogue()
    monkeypatch.setattr(import_module("descentflow.studies.blow_up"), "STUDY", STUDIES[ORDER[0]])
    with pytest.raises(ValueError, match=r"studies/blow_up declares .* constant_targets"):
        found["blow_up"]


def test_one_study_is_imported_without_the_others_and_without_experiments() -> None:
    code = (
        "import sys; from descentflow.config.catalogue import STUDIES; STUDIES['blow_up'].title;"
        "print(*(name for name in sys.modules if name.startswith('descentflow.studies.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["descentflow.studies.blow_up"]

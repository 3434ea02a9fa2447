"""The manifest of the small results: the same every time, stale when it should be, and compared."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import small_results as small
import xarray as xr

from descentflow.archive import compare, content, manifest
from descentflow.archive.compare import Outcome
from descentflow.archive.manifest import Manifest
from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile, InputError
from descentflow.planning import code_digest
from descentflow.planning.jobs import Jobs

DATASET = "datasets/random_initializations.nc"
FIGURE = "figures/random_initializations/success"


@pytest.fixture
def told(root: Path) -> Manifest:
    """Their manifest, written and read."""
    manifest.write(manifest.describe(small.jobs(root), root), root / "m.json")
    return manifest.read(root / "m.json")


def outcomes(told: Manifest, root: Path) -> dict[str, Outcome]:
    findings = compare.against(told, small.jobs(root), root)
    assert compare.table(findings).count("\n") == len(findings)
    good = all(finding.outcome is not Outcome.DIFFERENT for finding in findings)
    assert compare.all_good(findings) == good
    return {finding.key: finding.outcome for finding in findings}


def rewrite(root: Path, noise: float = 0.0, measured: float = 0.0) -> None:
    path = root / "results" / DATASET
    run = str(netcdf.read(path)["run_id"].values[0])
    spec = {"study": "random_initializations"}
    netcdf.write(small.dataset(run, noise, measured), path, spec, "Small")


def test_the_same_every_time(root: Path, told: Manifest) -> None:
    first = (root / "m.json").read_bytes()
    manifest.write(manifest.describe(small.jobs(root), root), root / "m.json")
    assert (root / "m.json").read_bytes() == first
    assert str(root) not in first.decode()
    assert set(outcomes(told, root).values()) == {Outcome.BYTES}
    assert len(told["artefacts"]) == 2 + 1 + 18 + 1 + 3


def test_bits_of_exact_trajectories_have_no_tolerance(root: Path, told: Manifest) -> None:
    rewrite(root, noise=4.5e-16)
    assert outcomes(told, root)[DATASET] is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("change", "outcome"), [(1e-9, Outcome.TOLERANCE), (1e-5, Outcome.DIFFERENT)]
)
def test_measures_have_one(root: Path, told: Manifest, change: float, outcome: Outcome) -> None:
    rewrite(root, measured=change)
    assert outcomes(told, root)[DATASET] is outcome


def test_the_encoding_is_no_difference(root: Path, told: Manifest) -> None:
    path = root / "results" / DATASET
    dataset = netcdf.read(path)
    encoding = {name: {"_FillValue": None} for name in dataset.variables}
    encoding["risk"] |= {"zlib": True, "complevel": 9}
    dataset.to_netcdf(path, format="NETCDF4", engine="netcdf4", encoding=encoding)
    assert outcomes(told, root)[DATASET] is Outcome.CONTENT
    small.claims(root / "results/claims.csv", ending="\r\n")
    assert outcomes(told, root)["claims.csv"] is Outcome.CONTENT


def test_figures_and_claims_deviate_only_with_their_data(root: Path, told: Manifest) -> None:
    for ending in ("png", "pdf", "svg"):
        small.picture(root / f"{FIGURE}.{ending}", width=1.02)
    small.claims(root / "results/claims.csv", text="0.2")
    keys = [f"{FIGURE}.{ending}" for ending in ("pdf", "svg", "png")] + ["claims.csv"]
    found = outcomes(told, root)
    assert {found[key] for key in keys} == {Outcome.DIFFERENT}
    rewrite(root, measured=1e-9)
    found = outcomes(told, root)
    assert {found[key] for key in keys} == {Outcome.TOLERANCE}
    small.claims(root / "results/claims.csv", verdict="fails")
    small.picture(root / f"{FIGURE}.png", width=40.0)
    found = outcomes(told, root)
    assert {found[key] for key in keys} == {Outcome.DIFFERENT}


@pytest.mark.parametrize("equal", ["png", "pdf", "svg"])
def test_one_equal_file_stands_for_its_drawing(root: Path, told: Manifest, equal: str) -> None:
    """The other two may hold other digits, but a picture that looks different stays different."""
    others = [ending for ending in ("png", "pdf", "svg") if ending != equal]
    for ending in others:
        small.picture(root / f"{FIGURE}.{ending}", width=1.02)
    found = outcomes(told, root)
    assert {found[f"{FIGURE}.{ending}"] for ending in others} == {Outcome.TOLERANCE}
    if equal != "png":
        small.picture(root / f"{FIGURE}.png", width=40.0)
        found = outcomes(told, root)
        assert {found[f"{FIGURE}.{ending}"] for ending in others} == {Outcome.DIFFERENT}


def test_files_of_other_kinds_have_no_tolerance() -> None:
    """Neither lists of critical risks nor certificates, even if what they are made from deviates."""
    entries = [{"sha256": digest, "content": digest} for digest in "ab"]
    assert compare.judge("landscapes/a.json", *entries, loose=True).outcome is Outcome.DIFFERENT
    assert compare.judge("networks/a.html", *entries, loose=True).outcome is Outcome.TOLERANCE


def test_missing_and_broken_files_are_different(root: Path, told: Manifest) -> None:
    (root / f"{FIGURE}.pdf").unlink()
    (root / "results" / DATASET).write_bytes(b"no netCDF")
    found = outcomes(told, root)
    assert found[f"{FIGURE}.pdf"] is found[DATASET] is Outcome.DIFFERENT
    with pytest.raises(DamagedFile):
        manifest.describe(small.jobs(root), root)


def test_more_and_fewer_artefacts(root: Path, told: Manifest) -> None:
    told["artefacts"]["other"] = told["artefacts"].pop("claims.csv")
    found = outcomes(told, root)
    assert found["claims.csv"] is found["other"] is Outcome.DIFFERENT


def test_stale(root: Path, told: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    assert manifest.stale(told, small.jobs(root)) == []
    other = json.loads(json.dumps(small.CONFIG))
    other["outputs"] = {"results": "elsewhere"}
    assert manifest.stale(told, Jobs.from_mapping(other, told["lock"])) == []
    other["seed"] = 2
    changed = Jobs.from_mapping(other, "0" * 16)
    assert manifest.stale(told, changed) == [
        "the configuration has changed",
        "the lock file has changed",
    ]
    with pytest.raises(InputError, match="another configuration"):
        compare.against(told, changed, root)
    digest: Callable[..., str] = code_digest.digest
    monkeypatch.setattr(
        code_digest, "digest", lambda *m: "0" if "descentflow.stages.draw" in m else digest(*m)
    )
    told_stale = manifest.stale(told, small.jobs(root))
    assert told_stale == ["the code of draw/random_initializations has changed"]


def test_entries_that_are_not_whole(root: Path, told: Manifest) -> None:
    rewrite(root, measured=1e-9)
    for entry in (None, 3, {}, {"sha256": ""}, {"sha256": "", "content": "", "recorded": 1}):
        told["artefacts"][DATASET] = entry
        assert outcomes(told, root)[DATASET] is Outcome.DIFFERENT


@pytest.mark.parametrize("noise", [1e-16, -3e-15])
def test_rounding_errors_have_a_scale(noise: float) -> None:
    """Numbers that are rounding errors alone may be other ones; others that small may not grow."""
    told, made, far = (
        content.fingerprint(xr.Dataset({"error": ("x", [value])})) for value in (0.0, noise, 1e-12)
    )
    assert compare.fingerprints_apart(told, made)[0] <= compare.TOLERANCE
    assert compare.fingerprints_apart(told, far)[0] > compare.TOLERANCE


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9}', "[" * 10**5, "\udcff"])
def test_no_manifest(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"m\.json") as refusal:
        manifest.read(path)
    assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match="make manifest"):
        manifest.read(tmp_path / "missing")

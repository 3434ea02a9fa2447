"""Recomputed artefacts against what a manifest, or an archive, says they must be.

Four outcomes: *bytes equal*, *content equal*, *within tolerance*, *different*. Trajectories of
networks with closed-form risks have no tolerance: what training recorded in them must be the same
bits. Where libm, BLAS or XLA take part, values may deviate by TOLERANCE of their root mean square. A
figure or a verdict may deviate only where the data under it did, within its tolerance.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from descentflow.archive import content, manifest
from descentflow.archive.manifest import Artefact, Entry, Manifest
from descentflow.datasets.netcdf import content_digest
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Jobs

TOLERANCE = 1e-6
"""Largest deviation of a variable, relative to its root mean square."""

MIN_SCALE = 1e-8
"""The root mean square of a variable that holds smaller numbers, perhaps rounding errors alone."""

GREY_TOLERANCE = 4.0
"""Largest deviation of a field of a picture, of 255."""


class Outcome(Enum):
    """What a comparison found, best first."""

    BYTES = "bytes equal"
    CONTENT = "content equal"
    TOLERANCE = "within tolerance"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Comparison:
    """One artefact's outcome; ``detail`` says by how much or why."""

    key: str
    outcome: Outcome
    detail: str = ""
    deviation: float = 0.0


def against(expected: Manifest, jobs: Jobs, root: Path = Path()) -> list[Comparison]:
    """Compare a configuration's files with a manifest; raises InputError for another one's."""
    if expected["config"] != manifest.config_digest(jobs):
        raise InputError("the manifest is of another configuration")
    entries: Mapping[str, Entry] = expected["artefacts"]
    found: dict[str, Comparison] = {}
    for artefact in manifest.artefacts(jobs):
        wanted = entries.get(artefact.key)
        if wanted is None:
            found[artefact.key] = Comparison(artefact.key, Outcome.DIFFERENT, "not in the manifest")
            continue
        exact = manifest.exact_runs(jobs, artefact.study) if artefact.study else set()
        try:
            made = manifest.entry(artefact, root, exact)
            finding = _judge(artefact, wanted, made, found)
        except DamagedFile as damage:
            finding = Comparison(artefact.key, Outcome.DIFFERENT, str(damage))
        except (KeyError, TypeError, ValueError, AttributeError):
            finding = Comparison(
                artefact.key, Outcome.DIFFERENT, "the manifest's entry is not whole"
            )
        found[artefact.key] = finding
    missing = (key for key in entries if key not in found)
    gone = [Comparison(key, Outcome.DIFFERENT, "not made by this configuration") for key in missing]
    return [_like_its_png(finding, found) for finding in found.values()] + gone


def _judge(
    artefact: Artefact, wanted: Entry, made: Entry, found: dict[str, Comparison]
) -> Comparison:
    key = artefact.key
    if wanted["sha256"] == made["sha256"]:
        return Comparison(key, Outcome.BYTES)
    if wanted["content"] == made["content"]:
        return Comparison(key, Outcome.CONTENT)
    if artefact.kind == "dataset":
        return _judge_dataset(key, wanted, made)
    below = [f for k, f in found.items() if k.startswith("datasets/")]
    if artefact.study:
        below = [f for f in below if f.key == f"datasets/{artefact.study}.nc"]
    if not any(finding.outcome is Outcome.TOLERANCE for finding in below):
        return Comparison(key, Outcome.DIFFERENT, "though its data are equal or different")
    if artefact.kind == "claims":
        same = wanted["verdicts"] == made["verdicts"]
        detail = "same verdicts" if same else "verdicts differ"
        return Comparison(key, Outcome.TOLERANCE if same else Outcome.DIFFERENT, detail)
    return _judge_figure(key, wanted, made)


def _judge_dataset(key: str, wanted: Entry, made: Entry) -> Comparison:
    if wanted["recorded"] != made["recorded"]:
        return Comparison(key, Outcome.DIFFERENT, "bits of exact trajectories differ")
    deviation, where = fingerprints_apart(wanted["variables"], made["variables"])
    return graded(key, deviation, where)


def graded(key: str, deviation: float, where: str) -> Comparison:
    """A finding from the largest deviation and where it was."""
    outcome = Outcome.TOLERANCE if deviation <= TOLERANCE else Outcome.DIFFERENT
    return Comparison(key, outcome, f"{deviation:.1e} in {where}" if where else "", deviation)


def fingerprints_apart(
    wanted: Mapping[str, Mapping[str, Any]], made: Mapping[str, Mapping[str, Any]]
) -> tuple[float, str]:
    """Largest deviation of two fingerprints, relative to the root mean square, and its variable."""
    worst, where = 0.0, ""
    for name in sorted(wanted.keys() | made.keys()):
        a, b = wanted.get(name, {}), made.get(name, {})
        fixed = ("count", "nan", "finite", "text")
        if any(a.get(part) != b.get(part) for part in fixed):
            return np.inf, name
        scale = max(a.get("rms", 0.0), MIN_SCALE)
        parts = ("mean", "rms", "min", "max")
        deviation = max((abs(a[p] - b[p]) / scale for p in parts if p in a), default=0.0)
        if deviation > worst:
            worst, where = deviation, name
    return worst, where


def _judge_figure(key: str, wanted: Entry, made: Entry) -> Comparison:
    if "thumbnail" not in wanted or "thumbnail" not in made:
        return Comparison(key, Outcome.TOLERANCE, "as its png")
    a, b = (
        np.frombuffer(bytes.fromhex(entry["thumbnail"]), np.uint8).astype(float)
        for entry in (wanted, made)
    )
    deviation = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
    outcome = Outcome.TOLERANCE if deviation <= GREY_TOLERANCE else Outcome.DIFFERENT
    return Comparison(key, outcome, f"{deviation:.0f} of 255 grey values", deviation)


def _like_its_png(finding: Comparison, found: Mapping[str, Comparison]) -> Comparison:
    """A PDF or SVG within tolerance is only as near as the PNG of the same drawing."""
    if finding.detail != "as its png":
        return finding
    png = found.get(str(Path(finding.key).with_suffix(".png")))
    if png is None or png.outcome is Outcome.DIFFERENT:
        return Comparison(finding.key, Outcome.DIFFERENT, "its png is different")
    return Comparison(finding.key, Outcome.TOLERANCE, finding.detail, png.deviation)


def datasets(key: str, wanted: Path, made: Path, exact: set[str], *, strict: bool) -> Comparison:
    """Two netCDF files, value by value; raises DamagedFile.

    What training recorded in the runs of ``exact`` has no tolerance, and with ``strict`` nothing has.
    """
    if content.sha256(wanted) == content.sha256(made):
        return Comparison(key, Outcome.BYTES)
    a, b = content.read_dataset(wanted), content.read_dataset(made)
    if content_digest(a) == content_digest(b):
        return Comparison(key, Outcome.CONTENT)
    deviation, where = values_apart(a, b)
    recorded = (content.recorded_digest(dataset, exact) for dataset in (a, b))
    if (strict and deviation > 0) or len(set(recorded)) > 1:
        detail = f"bits of exact trajectories differ, {deviation:.1e} in {where}"
        return Comparison(key, Outcome.DIFFERENT, detail, deviation)
    return graded(key, deviation, where)


def values_apart(wanted: xr.Dataset, made: xr.Dataset) -> tuple[float, str]:
    """Largest deviation of any value, relative to its variable's root mean square, and where."""
    worst, where = 0.0, ""
    for name in sorted(map(str, wanted.variables.keys() | made.variables.keys())):
        if name not in wanted.variables or name not in made.variables:
            return np.inf, name
        deviation = _apart(wanted[name].values, made[name].values)
        if deviation > worst:
            worst, where = deviation, name
    return worst, where


def _apart(wanted: np.ndarray[Any, Any], made: np.ndarray[Any, Any]) -> float:
    if wanted.shape != made.shape or wanted.dtype.kind != made.dtype.kind:
        return np.inf
    if wanted.dtype.kind in "OUT":
        return 0.0 if (wanted.astype(str) == made.astype(str)).all() else np.inf
    a, b = wanted.astype(np.float64), made.astype(np.float64)
    usual = np.isfinite(a)
    if not np.array_equal(a[~usual], b[~usual], equal_nan=True) or not np.isfinite(b[usual]).all():
        return np.inf
    if not usual.any():
        return 0.0
    rms = content.fingerprint(xr.Dataset({"a": ("x", a[usual])}))["a"]["rms"]
    return float(np.abs(a[usual] - b[usual]).max() / max(rms, MIN_SCALE))


def table(findings: Iterable[Comparison]) -> str:
    """A table for people: one line per artefact, then how many of each outcome."""
    rows = list(findings)
    width = max((len(row.key) for row in rows), default=0)
    lines = [f"{row.key:<{width}}  {row.outcome.value:<16}  {row.detail}".rstrip() for row in rows]
    counts = [f"{sum(r.outcome is o for r in rows)} {o.value}" for o in Outcome]
    return "\n".join([*lines, ", ".join(counts)])


def all_good(findings: Iterable[Comparison]) -> bool:
    """Whether no artefact is different."""
    return all(finding.outcome is not Outcome.DIFFERENT for finding in findings)

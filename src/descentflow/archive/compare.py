"""Compare recomputed artefacts with a manifest, or with an archive.

Four outcomes: *bytes equal*, *content equal*, *within tolerance*, *different*. Trajectories of
networks with closed-form risks have no tolerance: what training recorded in them must be the same
bits. Where libm, BLAS or XLA take part, values may deviate by TOLERANCE of their root mean square. A
figure or a verdict may deviate only where the data under it did, within its tolerance; but as drawing
rounds, too, one equal file of a drawing's three stands for the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow.archive import content, manifest
from descentflow.archive.content import Entry
from descentflow.archive.manifest import Manifest
from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile, InputError
from descentflow.planning.jobs import Jobs

TOLERANCE = 1e-6
"""Largest deviation of a variable, relative to its root mean square."""

MIN_SCALE = 1e-8
"""The root mean square of a variable that holds smaller numbers, perhaps rounding errors alone."""

GREY_TOLERANCE = 4.0
"""Largest deviation of a field of a picture, of 255."""


class Outcome(Enum):
    """The outcomes of a comparison, best first."""

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
    """Compare a configuration's files with a manifest; raises InputError unless it is theirs."""
    if expected["config"] != manifest.config_digest(jobs):
        raise InputError("the manifest is of another configuration")
    entries: Mapping[str, Entry] = expected["artefacts"]
    by_key: dict[str, Comparison] = {}
    by_path: dict[str, Comparison] = {}
    for artefact in manifest.artefacts(jobs):
        key = artefact.key
        try:
            if (wanted := entries.get(key)) is None:
                comparison = Comparison(key, Outcome.DIFFERENT, "not in the manifest")
            else:
                made = manifest.entry(artefact, jobs, root)
                loose = deviates(artefact.job.inputs, by_path)
                comparison = judge(key, wanted, made, loose=loose)
        except DamagedFile as damage:
            comparison = Comparison(key, Outcome.DIFFERENT, str(damage))
        except (KeyError, TypeError, ValueError, AttributeError):
            comparison = Comparison(key, Outcome.DIFFERENT, "the manifest's entry is not whole")
        by_key[key] = by_path[str(artefact.path)] = comparison
    missing = (key for key in entries if key not in by_key)
    gone = [Comparison(key, Outcome.DIFFERENT, "not made by this configuration") for key in missing]
    return as_their_drawings(by_key) + gone


def deviates(paths: Iterable[str], found: Mapping[str, Comparison]) -> bool:
    """Return whether one of these files deviates within tolerance."""
    return any(found[p].outcome is Outcome.TOLERANCE for p in paths if p in found)


def judge(key: str, wanted: Entry, made: Entry, *, loose: bool) -> Comparison:
    """Compare two descriptions of a file; ``loose`` says that the data under it deviate in tolerance.

    Raises KeyError, TypeError or ValueError where one is not whole.
    """
    if wanted["sha256"] == made["sha256"]:
        return Comparison(key, Outcome.BYTES)
    if wanted["content"] == made["content"]:
        return Comparison(key, Outcome.CONTENT)
    if "variables" in made:
        if wanted["recorded"] != made["recorded"]:
            return Comparison(key, Outcome.DIFFERENT, "bits of exact trajectories differ")
        return _graded(key, *fingerprints_apart(wanted["variables"], made["variables"]))
    if "thumbnail" in made:
        return _pictures(key, wanted, made, loose=loose)
    if key.endswith((".pdf", ".svg")):
        return Comparison(key, Outcome.TOLERANCE, AS_ITS_PNG if loose else AS_ANOTHER)
    if not loose:
        return Comparison(key, Outcome.DIFFERENT, UNFOUNDED)
    if "verdicts" in made:
        same = wanted["verdicts"] == made["verdicts"]
        detail = "same verdicts" if same else "verdicts differ"
        return Comparison(key, Outcome.TOLERANCE if same else Outcome.DIFFERENT, detail)
    if key.endswith(".html"):
        return Comparison(key, Outcome.TOLERANCE, "its data deviate within tolerance")
    return Comparison(key, Outcome.DIFFERENT, "no tolerance is known for such files")


AS_ITS_PNG, AS_ANOTHER = "as its png", "another file of its drawing is equal"
UNFOUNDED = "though its data are equal or different"


def _pictures(key: str, wanted: Entry, made: Entry, *, loose: bool) -> Comparison:
    """Compare two PNGs by the grey values of their fields."""
    a, b = (
        np.frombuffer(bytes.fromhex(entry["thumbnail"]), np.uint8).astype(float)
        for entry in (wanted, made)
    )
    deviation = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
    detail = f"{deviation:.0f} of 255 grey values"
    if deviation > GREY_TOLERANCE:
        return Comparison(key, Outcome.DIFFERENT, detail, deviation)
    return Comparison(key, Outcome.TOLERANCE, detail if loose else AS_ANOTHER, deviation)


def as_their_drawings(by_key: Mapping[str, Comparison]) -> list[Comparison]:
    """Call files different that the other files of their drawing do not bear out."""
    comparisons = []
    for key, comparison in by_key.items():
        if comparison.detail in (AS_ITS_PNG, AS_ANOTHER):
            files = (str(Path(key).with_suffix(suffix)) for suffix in content.FIGURES)
            drawing = {Path(file).suffix: by_key[file].outcome for file in files if file in by_key}
            equal = not {Outcome.BYTES, Outcome.CONTENT}.isdisjoint(drawing.values())
            if drawing.get(".png", Outcome.DIFFERENT) is Outcome.DIFFERENT:
                comparison = Comparison(key, Outcome.DIFFERENT, "its png is different")
            elif comparison.detail == AS_ANOTHER and not equal:
                comparison = Comparison(key, Outcome.DIFFERENT, UNFOUNDED)
        comparisons.append(comparison)
    return comparisons


def _graded(key: str, deviation: float, where: str) -> Comparison:
    """Judge a dataset by its largest deviation, which is in the variable ``where``."""
    outcome = Outcome.TOLERANCE if deviation <= TOLERANCE else Outcome.DIFFERENT
    return Comparison(key, outcome, f"{deviation:.1e} in {where}" if where else "", deviation)


def fingerprints_apart(wanted: Mapping[str, Entry], made: Mapping[str, Entry]) -> tuple[float, str]:
    """Return the largest deviation of fingerprints, relative to root mean squares, and its variable."""
    worst = 0.0, ""
    for name in sorted(wanted.keys() | made.keys()):
        a, b = wanted.get(name, {}), made.get(name, {})
        if any(a.get(part) != b.get(part) for part in ("count", "nan", "finite", "text")):
            return np.inf, name
        scale = max(a.get("rms", 0.0), MIN_SCALE)
        parts = [part for part in ("mean", "rms", "min", "max") if part in a]
        deviation = max((abs(a[part] - b[part]) / scale for part in parts), default=0.0)
        worst = max(worst, (deviation, name), key=lambda pair: pair[0])
    return worst


def datasets(key: str, wanted: Path, made: Path, exact: set[str], *, strict: bool) -> Comparison:
    """Compare two netCDF files value by value; raises DamagedFile.

    The recorded variables of the runs in ``exact`` have no tolerance, and with ``strict`` nothing has.
    """
    if content.sha256(wanted) == content.sha256(made):
        return Comparison(key, Outcome.BYTES)
    a, b = netcdf.read(wanted), netcdf.read(made)
    if netcdf.content_digest(a) == netcdf.content_digest(b):
        return Comparison(key, Outcome.CONTENT)
    deviation, where = _values_apart(a, b)
    recorded = (content.recorded_digest(dataset, exact) for dataset in (a, b))
    if (strict and deviation > 0) or len(set(recorded)) > 1:
        detail = f"bits of exact trajectories differ, {deviation:.1e} in {where}"
        return Comparison(key, Outcome.DIFFERENT, detail, deviation)
    return _graded(key, deviation, where)


def _values_apart(wanted: xr.Dataset, made: xr.Dataset) -> tuple[float, str]:
    """Return the largest deviation of any value, relative to root mean squares, and its variable."""
    worst = 0.0, ""
    for name in sorted(map(str, wanted.variables.keys() | made.variables.keys())):
        if name not in wanted.variables or name not in made.variables:
            return np.inf, name
        deviation = _apart(wanted[name].values, made[name].values)
        worst = max(worst, (deviation, name), key=lambda pair: pair[0])
    return worst


def _apart(wanted: NDArray[Any], made: NDArray[Any]) -> float:
    if wanted.shape != made.shape or wanted.dtype.kind != made.dtype.kind:
        return np.inf
    if wanted.dtype.kind in "OUT":
        return 0.0 if (wanted.astype(str) == made.astype(str)).all() else np.inf
    a, b = wanted.astype(np.float64), made.astype(np.float64)
    finite = np.isfinite(a)
    if (
        not np.array_equal(a[~finite], b[~finite], equal_nan=True)
        or not np.isfinite(b[finite]).all()
    ):
        return np.inf
    if not finite.any():
        return 0.0
    rms = content.fingerprint(xr.Dataset({"a": ("x", a[finite])}))["a"]["rms"]
    return float(np.abs(a[finite] - b[finite]).max() / max(rms, MIN_SCALE))


def table(comparisons: Iterable[Comparison]) -> str:
    """Return one line per artefact, then the number of each outcome."""
    rows = list(comparisons)
    width = max((len(row.key) for row in rows), default=0)
    lines = [f"{row.key:<{width}}  {row.outcome.value:<16}  {row.detail}".rstrip() for row in rows]
    counts = [f"{sum(r.outcome is o for r in rows)} {o.value}" for o in Outcome]
    return "\n".join([*lines, ", ".join(counts)])


def all_good(findings: Iterable[Comparison]) -> bool:
    """Return whether no artefact is different."""
    return all(finding.outcome is not Outcome.DIFFERENT for finding in findings)

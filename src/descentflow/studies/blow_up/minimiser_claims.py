"""Judge which networks attain the infimum of the risk, and how flows blow up if not (4.4, 4.5)."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from descentflow.simd.arrays import Array
from descentflow.studies.blow_up.minimiser_measures import VERDICTS
from descentflow.studies.claim import Claim, describe_runs, lacks

STUDY = "blow_up"
BEST_TOLERANCE, VALLEY_TOLERANCE, LOGARITHM_TOLERANCE = 0.05, 0.01, 0.07
"""Relative: constants of the best flows, whose corrections fall like roots of t or slower; constants
for f = x in a valley; exponents of L where powers of log t correct them."""
LEAST_TIME, LEAST_TIME_IN_VALLEYS = 1e8, 1e10
"""Earlier, constants are not near their limits."""
TARGETS = {
    "affine": "f = x",
    "step": "the step at 1/2",
    "hinge": "the hinge at 1/2",
    "parabola": "(x - 1/2)^2",
}
BOUND = (
    "every entry: a critical point at the infimum without negative Hessian eigenvalue; or a best "
    f"flow that diverges, with the constant of L within {BEST_TOLERANCE:.0%} of the law's, where none "
    "is known of that of the decade before; exponents of logarithmic flows within "
    f"{LOGARITHM_TOLERANCE:.0%}"
)


@dataclass(frozen=True)
class Entry:
    """An entry of the table as a run found it; ``agrees`` is None where the run decided nothing."""

    name: str
    agrees: bool | None
    error: float = np.nan


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the runs that the table of 4.5 lists by their targets, and all flows for f = x (4.4)."""
    listed = dataset.isel(run=np.flatnonzero(np.isfinite(dataset["expected_attained"].values)))
    cases = listed["case"].values
    claims = [
        _table_claim(case, listed.isel(run=np.flatnonzero(cases == case)))
        for case in TARGETS
        if case in cases
    ]
    escaping = (cases == "affine") & (listed["expected_attained"].values == 0.0)
    if escaping.any():
        claims.append(_escapes(listed.isel(run=np.flatnonzero(escaping))))
    return claims


# ---- the table of 4.5


def _table_claim(case: str, runs: xr.Dataset) -> Claim:
    """Compare the best flows with a target's entries, each in the longest run that decides it."""
    entries: dict[str, Entry] = {}
    chosen: dict[str, int] = {}
    for index in np.argsort(-np.nanmax(runs["time"].values, axis=1), kind="stable"):
        entry = _entry(runs.isel(run=index))
        if entry.name not in entries or entries[entry.name].agrees is None:
            entries[entry.name], chosen[entry.name] = entry, int(index)
    runs = runs.isel(run=sorted(chosen.values()))
    found = [entry.agrees for entry in entries.values()]
    agreeing = sum(agrees is True for agrees in found)
    holds = False if False in found else None if None in found else True
    return Claim(
        STUDY,
        f"minimiser_{case}",
        f"for {TARGETS[case]} the infimum is attained where 4.5 lists it; else the best flow "
        "falls to it along a curve of best networks, by its law",
        describe_runs(runs, ", ".join(dict.fromkeys(map(str, runs["experiment"].values)))),
        "computed 4.5",
        f"{agreeing} of {len(found)} agree{_others(entries)}{_worst(entries)}",
        BOUND,
        holds,
        lacks(runs, "time", LEAST_TIME),
        value=agreeing,
        unit=f"of {len(found)} entries",
    )


def _entry(run: xr.Dataset) -> Entry:
    """Return what one run says of its entry."""
    verdict, attained = int(run["verdict"]), bool(run["expected_attained"])
    name = f"{run['network_activation'].item()} with H = {int(run['network_hidden'])}"
    expected = VERDICTS["attained" if attained else "not_attained"]
    nothing = verdict == VERDICTS["undecided"]
    if attained or verdict != expected:
        return Entry(name, None if nothing else verdict == expected)
    error = float(_law_error(run, "best_"))
    logarithmic = float(run["best_predicted_decay"]) == -1.0
    return Entry(name, error <= (LOGARITHM_TOLERANCE if logarithmic else BEST_TOLERANCE), error)


def _law_error(runs: xr.Dataset, prefix: str = "") -> Array:
    """Return how far L is from its law: the constant or, of logarithmic flows, the exponent."""
    decay, slope, ratio, drift = (
        runs[f"{prefix}{name}"].values
        for name in ("predicted_decay", "risk_slope", "risk_law_ratio", "risk_law_drift")
    )
    constant = np.abs(np.where(np.isfinite(ratio), ratio, drift) - 1.0)
    return np.where(decay == -1.0, np.abs(slope / decay - 1.0), constant)


def _others(entries: dict[str, Entry]) -> str:
    """Name the entries that do not agree."""
    against = [name for name, entry in entries.items() if entry.agrees is False]
    nothing = [name for name, entry in entries.items() if entry.agrees is None]
    texts = [f"against the list: {', '.join(against)}"] if against else []
    texts += [f"undecided: {', '.join(nothing)}"] if nothing else []
    return "".join(f"; {text}" for text in texts)


def _worst(entries: dict[str, Entry]) -> str:
    """Name the largest error and the entry that has it."""
    errors = {name: entry.error for name, entry in entries.items() if np.isfinite(entry.error)}
    if not errors:
        return ""
    name = max(errors, key=lambda name: errors[name])
    return f"; largest relative error {errors[name]:.1%} ({name})"


# ---- all flows for f = x


def _escapes(runs: xr.Dataset) -> Claim:
    """Judge all flows for f = x by how far L and |v| are from their laws, nan for broken ones."""
    present = runs["status"].values >= 0
    logarithmic = runs["predicted_decay"].values == -1.0
    norm = np.abs(runs["norm_law_ratio"].values - 1.0)
    error = np.where(logarithmic, _law_error(runs), np.maximum(_law_error(runs), norm))
    good = present & (error <= np.where(logarithmic, LOGARITHM_TOLERANCE, VALLEY_TOLERANCE))
    texts = [
        f"{activation} {np.nanmax(np.where(present[index], error[index], 0.0)):.1e}"
        for index, activation in enumerate(runs["network_activation"].values)
    ]
    count = int(present.sum())
    return Claim(
        STUDY,
        "affine_laws",
        "for f = x and one neuron every flow blows up: about an inflection with the constants of "
        "|v|^6/t and L |v|^4, for softsign of |v|^4/t and L |v|^2, else with L ~ 1/t up to powers of "
        "log t (4.4)",
        describe_runs(runs, "affine"),
        "computed 4.4",
        f"{int(good.sum())} of {count}, {int((logarithmic & present).sum())} of them logarithmic; "
        f"largest relative errors: {', '.join(texts)}",
        f"all of {count}: constants of |v| and L over the last decade within {VALLEY_TOLERANCE:.0%}, "
        f"logarithmic exponents within {LOGARITHM_TOLERANCE:.0%}",
        bool(good[present].all()),
        lacks(runs, "time", LEAST_TIME_IN_VALLEYS),
        value=int(good.sum()),
        unit=f"of {count} flows",
    )

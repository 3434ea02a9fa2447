"""Claims about methods from the same starts: success, compared start by start, and batch losses."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import binomtest, norm

from descentflow.studies.claim import Claim, describe_runs
from descentflow.studies.optimizers.theory import SUCCESS

STUDY = "optimizers"
FALSE_ALARM = 0.01
"""Probability that a claim by tests fails although all of its hypotheses are true."""


@dataclass(frozen=True)
class Comparison:
    """Starts, all widths together: how many there are, and how many only one method succeeds from."""

    starts: int
    gained: int
    lost: int

    @property
    def p_value(self) -> float:
        """The exact two-sided test of no difference, which is McNemar's."""
        return float(binomtest(self.gained, max(1, self.gained + self.lost)).pvalue)

    def __str__(self) -> str:
        gained, lost, count = self.gained, self.lost, self.starts
        change = (gained - lost) / count
        error = 1.96 * np.sqrt(gained + lost - count * change**2) / count
        text = f"{100 * change:+.1f}% of {count} starts, 95% +-{100 * error:.1f}%"
        return f"{text} (gained {gained}, lost {lost})"


def compare(runs: xr.Dataset, base: str, other: str, same_step: bool) -> dict[float, Comparison]:
    """Compare two methods at the same problems, by the other's step size in the long run.

    With ``same_step`` both must have the same, to rounding.
    """
    found: dict[float, Comparison] = {}
    steps = runs["long_step"].values[:, 0]
    for one, two in _pairs(runs, base, other):
        if same_step and not np.isclose(steps[one], steps[two], rtol=1e-9):
            continue
        success = runs["success"].values[[one, two]]
        before, after = success[:, np.isfinite(success).all(axis=0)]
        sums = len(before), int((after > before).sum()), int((after < before).sum())
        total = found.get(steps[two], Comparison(0, 0, 0))
        found[steps[two]] = Comparison(
            total.starts + sums[0], total.gained + sums[1], total.lost + sums[2]
        )
    return found


def _pairs(runs: xr.Dataset, base: str, other: str) -> Iterator[tuple[int, int]]:
    """Yield the indices of runs by the two methods that have the same target and width."""
    methods = runs["method"].values
    problems = list(zip(runs["target"].values, runs["network_hidden"].values, strict=True))
    for one in np.flatnonzero(methods == base):
        for two in np.flatnonzero(methods == other):
            if problems[one] == problems[two]:
                yield int(one), int(two)


def _noise(runs: xr.Dataset) -> Claim:
    return _no_difference(
        runs, ("gd", "sgd"), "batch_noise_and_success", "batch noise (SGD against GD)"
    )


def _memory(runs: xr.Dataset) -> Claim:
    return _no_difference(
        runs, ("sgd", "momentum"), "memory_and_success", "memory (momentum against SGD)"
    )


def _no_difference(runs: xr.Dataset, methods: tuple[str, str], name: str, what: str) -> Claim:
    """Judge whether two methods succeed equally often, at the same step size in the long run."""
    found = compare(runs, *methods, same_step=True)
    least = min((one.p_value for one in found.values()), default=1.0)
    level = FALSE_ALARM / max(1, len(found))
    return Claim(
        STUDY,
        name,
        f"{what} neither helps nor harms: the share of runs below {SUCCESS:g} is the same",
        describe_runs(runs, "success"),
        "predicted",
        "; ".join(f"{one}, p = {one.p_value:.2g}" for one in found.values()) or "no such runs",
        f"two-sided test start by start, p >= {level:.2g}",
        least >= level if found else None,
        value=least if found else None,
        unit="p-value",
    )


def _adaptive(runs: xr.Dataset) -> Claim:
    found = compare(runs, "sgd", "adam", same_step=False)
    last = found[max(found)] if found else None
    texts = (f"gamma = {step:g}: {found[step]}, p = {found[step].p_value:.2g}" for step in found)
    return Claim(
        STUDY,
        "adam_and_success",
        "Adam with the largest of its step sizes succeeds more often than SGD from the same starts",
        describe_runs(runs, "success"),
        "predicted",
        "; ".join(texts) or "no such runs",
        f"more, with p <= {FALSE_ALARM:g} at the largest step size",
        last.gained > last.lost and last.p_value <= FALSE_ALARM if last else None,
        value=last.p_value if last else None,
        unit="p-value",
    )


def _unbiased(runs: xr.Dataset) -> Claim:
    """Judge the sum of (L_B − L)/L over records: its terms have mean 0 given those before.

    Only records before success count. Later the residual lives on ever shorter intervals, which few
    batches hit: the terms are −1 mostly and huge rarely, and their sum is far from normal.
    """
    scores = []
    for run in range(runs.sizes["run"]):
        if runs["batch_size"].values[run] == 0:
            continue
        risk, loss = runs["risk"].values[run], runs["batch_loss"].values[run]
        before = risk >= SUCCESS
        errors = loss[before] / risk[before] - 1.0
        if len(errors):
            scores.append(errors.sum() / np.sqrt((errors**2).sum()))
    worst = float(np.abs(scores).max()) if scores else np.nan
    allowed = float(norm.ppf(1.0 - FALSE_ALARM / (2 * max(1, len(scores)))))
    return Claim(
        STUDY,
        "batch_loss_unbiased",
        f"the loss on the next batch has the risk as its mean, where that is at least {SUCCESS:g}",
        describe_runs(runs, "success"),
        "derived 8.2",
        f"largest |sum of (L_B - L)/L| {worst:.2f} standard deviations, {len(scores)} runs",
        f"<= {allowed:.2f} (false alarm {FALSE_ALARM:g} in all)",
        worst <= allowed if scores else None,
        value=worst if scores else None,
        unit="standard deviations",
        self_check=True,
    )


def batch_sizes(runs: xr.Dataset) -> list[int]:
    """Return the batch sizes of the runs."""
    return [int(size) for size in runs["batch_size"].values]


JUDGES = (_noise, _memory, _adaptive, _unbiased)

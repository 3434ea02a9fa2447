"""Whether a global minimiser exists, judged from the best of several flows per problem."""

import numpy as np
import xarray as xr

from descentflow.datasets.aggregate import Small
from descentflow.datasets.padding import named
from descentflow.datasets.trained_runs import TrainedRun
from descentflow.studies.blow_up import minimiser_theory as theory
from descentflow.studies.blow_up.escape_measures import COMPARED, PREDICTED
from descentflow.training.critical_points import KINDS

VERDICTS = {"attained": 0, "not_attained": 1, "undecided": 2}
RELATIVE, ABSOLUTE = 1e-10, 1e-20
"""A critical risk this close to the infimum, relative to it or absolutely, is the infimum."""
STILL = 1e-14
"""A finished end with ‖G‖ above this times max(1, ‖θ‖) may be a slow flow: it decides nothing."""

OF_THE_BEST = {
    "final_risk": "risk at the end",
    "end_risk": "risk at the finished end",
    "end_gradient_norm": "norm of G at the finished end",
    "end_negative": "number of negative Hessian eigenvalues at the finished end",
    "parameter_norm_slope": "d log |Theta|/d log t over the last decade",
    "risk_slope": "d log L/d log t over the last decade",
    "predicted_decay": PREDICTED["predicted_decay"],
    **{name: COMPARED[name] for name in ("risk_law_ratio", "risk_law_drift")},
}

READ = (*OF_THE_BEST, "end_kind")
"""What the verdict reads of every initialisation, beside the norm at the start."""


def judge_minimiser(ends: xr.Dataset, row: TrainedRun) -> Small:
    """Return the case, the ``best`` flow of the run, the verdict, and what was expected.

    ``ends`` holds READ and ``first_norm``, ‖θ₀‖, of every initialisation. The verdict is about the
    best flow, the one of least final risk among those that are still or run to infinity: attained
    where it ends at a critical point without negative Hessian eigenvalues (and, where the infimum is
    known, at it), not attained where it runs to infinity, undecided else. nan or empty for runs of no
    case, and for GD.
    """
    case, network = _case(row), row.run.problem.network
    best = _best(ends)
    entry = theory.ENTRIES.get((case or "", network.activation, network.width))
    infimum = np.nan if entry is None else entry.infimum
    expected = np.nan if entry is None else float(entry.attained)
    one = {name: float(ends[name].values[best]) for name in (*OF_THE_BEST, "first_norm")}
    verdict = _verdict(int(ends["end_kind"].values[best]), one, infimum)
    flags = {
        "long_name": "whether the infimum is attained, by the best flow",
        "flag_values": np.array(list(VERDICTS.values()), dtype=np.int8),
        "flag_meanings": " ".join(VERDICTS),
    }
    numbers = {
        "best": (best, "number of the flow of least final risk"),
        **{f"best_{name}": (one[name], f"{t}, best flow") for name, t in OF_THE_BEST.items()},
        "infimum": (infimum, "infimum of the risk, where listed"),
        "expected_attained": (
            expected,
            "1 where the list says that the infimum is attained, 0 where not",
        ),
    }
    return {
        "case": xr.Variable((), case or "", {"long_name": "target's name"}),
        **{name: xr.Variable((), value, named(title)) for name, (value, title) in numbers.items()},
        "verdict": xr.Variable((), np.int8(verdict), flags),
    }


def _case(row: TrainedRun) -> str | None:
    return theory.case_of(row.run.problem) if row.run.axis == "time" else None


def _best(ends: xr.Dataset) -> int:
    """Number of the best flow; of the flow of least final risk where none is decided."""
    final, kind = ends["final_risk"].values, ends["end_kind"].values
    still = ends["end_gradient_norm"].values <= STILL * np.maximum(1.0, ends["first_norm"].values)
    decided = (kind == KINDS["diverging"]) | ((kind == KINDS["critical"]) & still)
    rank = np.where(np.isfinite(final), final, np.inf)
    return int(np.where(decided, rank, np.inf).argmin() if decided.any() else rank.argmin())


def _verdict(kind: int, best: dict[str, float], infimum: float) -> int:
    """Return the verdict of a best flow that ended as ``kind``."""
    excess = best["end_risk"] - infimum
    reached = np.isnan(infimum) or excess <= RELATIVE * abs(infimum) + ABSOLUTE
    settled = best["end_gradient_norm"] <= STILL * np.maximum(1.0, best["first_norm"])
    if kind == KINDS["diverging"]:
        return VERDICTS["not_attained"]
    if kind == KINDS["critical"] and best["end_negative"] == 0 and settled and reached:
        return VERDICTS["attained"]
    return VERDICTS["undecided"]

"""Claims of the study ``overparameterized`` (5.7), each against its dataset."""

import numpy as np
import xarray as xr

from descentflow.studies.claim import Claim, lacks
from descentflow.studies.overparameterized.measures import FIRST_STEPS, ROUNDING_FLOOR
from descentflow.studies.overparameterized.theory import (
    CONCENTRATION_EXPONENT,
    GRAM_CHANGE_EXPONENT,
    LINEARISATION_EXPONENT,
    WEIGHT_CHANGE_EXPONENT,
)

STUDY = "overparameterized"
CONCENTRATION_TOLERANCE = 0.1
EXPONENT_TOLERANCE = 0.15
ZERO = 1e-20
LEAST_STEPS = 1000
"""After fewer the loss is not near its limit yet."""
MIN_WIDTHS, MIN_NETWORKS = 3, 8
"""Fewer widths, or networks of each, are too few to fit an exponent."""
NEAR_LIMIT = 0.05
"""Step sizes closer than this to 2/λ_max, relatively, are not judged."""

RESIDUAL_SPREAD = 1.2
EXPONENTIAL_FALL = 0.5
"""Least fall of log λ_min per layer that counts as exponential."""

EIGENVALUE_ROUNDING = 1e-14
"""Least eigenvalues below this, relative to the greatest, are rounding."""

NAMES = {
    "fully_connected": "fully connected",
    "residual": "residual",
    "convolutional_residual": "convolutional residual",
}


def judge(dataset: xr.Dataset) -> list[Claim]:
    """Judge the claims whose experiments are in the dataset."""
    return [
        *_concentration(dataset),
        *_trained(dataset),
        *_stability(dataset),
        *_depth(dataset),
        *_fastest_mode(dataset),
    ]


def _named(dataset: xr.Dataset, *experiments: str) -> xr.Dataset | None:
    chosen = np.flatnonzero(np.isin(dataset["experiment"].values, experiments))
    return dataset.isel(run=chosen) if len(chosen) else None


def _where(runs: xr.Dataset) -> str:
    experiments = ", ".join(dict.fromkeys(runs["experiment"].values))
    widths = runs["network_width"].values
    count = int(runs["count"].values.sum())
    return f"{experiments}: m = {int(widths.min())} to {int(widths.max())}; {count} networks"


def _by_architecture(dataset: xr.Dataset, *experiments: str) -> list[tuple[str, xr.Dataset]]:
    """Return the runs of the experiments, by architecture."""
    runs = _named(dataset, *experiments)
    if runs is None:
        return []
    used = runs["network_architecture"].values
    return [(a, runs.isel(run=np.flatnonzero(used == a))) for a in NAMES if a in used]


def _exponents(runs: xr.Dataset, quantity: str) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the fitted exponents of the width, one per group of runs, as text, and their errors."""
    groups = list(dict.fromkeys(runs["group_of_run"].values))
    chosen = runs.sel(quantity=quantity, group=groups)
    powers, errors = chosen["exponent"].values, chosen["exponent_error"].values
    texts = [f"{p:.3f} +- {e:.3f}" for p, e in zip(powers, errors, strict=True)]
    return "; ".join(texts), powers, errors


def _needs_of_exponents(runs: xr.Dataset) -> str:
    """Return what runs need that have too few widths, or networks of each; else ""."""
    widths, groups = runs["network_width"].values, runs["group_of_run"].values
    fewest = min(np.unique(widths[groups == group]).size for group in np.unique(groups))
    if fewest >= MIN_WIDTHS and runs["count"].values.min() >= MIN_NETWORKS:
        return ""
    return f"{MIN_WIDTHS} widths, {MIN_NETWORKS} networks of each"


def _power_claim(
    runs: xr.Dataset,
    name: str,
    statement: str,
    source: str,
    quantity: str,
    wanted: tuple[float, float],
) -> Claim:
    text, powers, errors = _exponents(runs, quantity)
    fitted = bool(np.isfinite(powers).all())
    worst = int(np.abs(powers - wanted[0]).argmax())
    value, error = float(powers[worst]), 1.96 * float(errors[worst])
    near = bool((np.abs(powers - wanted[0]) <= wanted[1]).all())
    return Claim(
        STUDY,
        name,
        statement,
        _where(runs),
        source,
        f"exponent {text}" if fitted else "fewer than two widths, or than two networks of a width",
        f"{wanted[0]:g} +- {wanted[1]:g}",
        near if fitted else None,
        _needs_of_exponents(runs),
        value=value if fitted else None,
        interval=(value - error, value + error) if fitted else None,
    )


def _concentration(dataset: xr.Dataset) -> list[Claim]:
    names = ("concentration", "concentration_residual", "concentration_images")
    return [
        _power_claim(
            runs,
            f"concentration_{architecture}",
            f"|G^(H)(0) - K^(H)|_2 ~ m^(-1/2), {NAMES[architecture]}",
            "predicted",
            "concentration",
            (CONCENTRATION_EXPONENT, CONCENTRATION_TOLERANCE),
        )
        for architecture, runs in _by_architecture(dataset, *names)
    ]


def _trained(dataset: xr.Dataset) -> list[Claim]:
    claims = []
    runs = _named(dataset, "training", "training_images", "stability", "stability_images")
    if runs is not None:
        ratio = runs["bound_ratio"].values
        ratio = ratio[np.isfinite(ratio) | np.isinf(ratio)]
        worst = float(ratio.max()) if ratio.size else np.nan
        claims.append(
            Claim(
                STUDY,
                "loss_bound",
                "L(k) <= (1 - eta lambda_min(K^(H))/2)^k L(0) at every recorded step",
                _where(runs),
                "as we state it 5.3",
                f"largest ratio {worst:.3f}, {int((ratio <= 1.0).sum())} of {ratio.size} runs",
                f"<= 1 (bound plus {ROUNDING_FLOOR:g} for rounding)",
                worst <= 1.0 if ratio.size else None,
                value=worst if ratio.size else None,
            )
        )
    runs = _named(dataset, "training", "training_images")
    if runs is not None:
        trained = runs["status"].values >= 0
        final = np.where(runs["status"].values == 0, runs["final_loss"].values, np.inf)[trained]
        claims.append(
            Claim(
                STUDY,
                "zero_loss",
                "gradient descent on all layers reaches zero training loss",
                _where(runs),
                "paper 5.3",
                f"largest final loss {final.max():.1e}, {int((final <= ZERO).sum())} of "
                f"{final.size} at most {ZERO:g}",
                f"all at most {ZERO:g}",
                bool((final <= ZERO).all()),
                lacks(runs, "step", LEAST_STEPS),
                value=float(final.max()),
            )
        )
    return claims


def _stability(dataset: xr.Dataset) -> list[Claim]:
    claims = []
    for architecture, runs in _by_architecture(dataset, "stability", "stability_images"):
        claims += [
            _power_claim(
                runs,
                f"gram_stability_{architecture}",
                f"max_k |G^(H)(k) - G^(H)(0)|_2 ~ m^-1, {NAMES[architecture]}",
                "predicted",
                "stability",
                (GRAM_CHANGE_EXPONENT, EXPONENT_TOLERANCE),
            ),
            _power_claim(
                runs,
                f"linearisation_{architecture}",
                "max_k |residuals - linearised ones|/|residuals at 0| ~ m^-1, "
                f"{NAMES[architecture]}",
                "predicted",
                "linearisation",
                (LINEARISATION_EXPONENT, EXPONENT_TOLERANCE),
            ),
            _weights(architecture, runs),
        ]
    return claims


def _weights(architecture: str, runs: xr.Dataset) -> Claim:
    """Judge whether the median change of weights falls from each width to the next."""
    texts, falls = [], []
    for group in dict.fromkeys(runs["group_of_run"].values):
        part = runs.isel(run=np.flatnonzero(runs["group_of_run"].values == group))
        part = part.sortby("network_width")
        middle = part["greatest_weight_change_quantiles"].sel(quantile=0.5).values
        texts.append(f"{middle[0]:.3g} -> {middle[-1]:.3g}")
        falls.append(bool((np.diff(middle) < 0.0).all()) and middle.size > 1)
    exponent, powers, _ = _exponents(runs, "weights")
    return Claim(
        STUDY,
        f"weight_stability_{architecture}",
        f"max_(k,h) |W^(h)(k) - W^(h)(0)|_F/sqrt(m) falls with m, {NAMES[architecture]}",
        _where(runs),
        "predicted",
        f"medians {'; '.join(texts)}, exponent {exponent}, predicted {WEIGHT_CHANGE_EXPONENT:g}",
        f"all of {len(falls)}: the median falls from each width to the next",
        all(falls) if np.isfinite(powers).all() else None,
        value=sum(falls),
        unit="groups",
    )


def _depth(dataset: xr.Dataset) -> list[Claim]:
    claims = []
    for architecture, runs in _by_architecture(dataset, "depth"):
        runs = runs.sortby("network_depth")
        depths = runs["network_depth"].values
        where = f"depth: H = {int(depths.min())} to {int(depths.max())}, {NAMES[architecture]}"
        if architecture == "fully_connected":
            claims.append(_exponential_fall(runs, where))
        else:
            claims.append(_polynomial_fall(runs, where, architecture))
    return claims


def _exponential_fall(runs: xr.Dataset, where: str) -> Claim:
    depths, least = runs["network_depth"].values, runs["limit_least"].values
    accurate = least > EIGENVALUE_ROUNDING * runs["limit_greatest"].values
    depths, least = depths[accurate], least[accurate]
    falls = -np.diff(np.log(least)) / np.diff(depths) if least.size > 1 else np.empty(0)
    return Claim(
        STUDY,
        "depth_fully_connected",
        "lambda_min(K^(H)) of fully connected networks falls exponentially with the depth",
        where,
        "computed 5.5",
        f"{least[0]:.2g} -> {least[-1]:.2g} at H = {int(depths[-1])}; fall of log lambda_min per "
        f"layer {falls.min():.2f} to {falls.max():.2f}"
        if falls.size
        else "fewer than two depths above rounding",
        f"at least {EXPONENTIAL_FALL:g} per layer, at every depth above rounding",
        bool((falls >= EXPONENTIAL_FALL).all()) if falls.size else None,
        value=float(falls.min()) if falls.size else None,
        unit="per layer",
    )


def _polynomial_fall(runs: xr.Dataset, where: str, architecture: str) -> Claim:
    scaled = runs["scaled_least"].values
    spread = float(scaled.max() / scaled.min()) if (scaled > 0.0).all() else np.inf
    return Claim(
        STUDY,
        f"depth_{architecture}",
        f"H^2 lambda_min(K^(H))/c_res^2 of {NAMES[architecture]} networks hardly depends on the "
        "depth",
        where,
        "computed 5.5",
        f"{scaled.min():.4f} to {scaled.max():.4f}",
        f"largest over least at most {RESIDUAL_SPREAD:g}",
        spread <= RESIDUAL_SPREAD if scaled.size > 1 else None,
        value=spread,
    )


def _fastest_mode(dataset: xr.Dataset) -> list[Claim]:
    runs = _named(dataset, "step_sizes")
    if runs is None:
        return []
    ratio, growth = runs["stability_ratio"].values, runs["mode_growth"].values
    measured = np.isfinite(growth)
    above = measured & (ratio >= 1.0 + 0.99 * NEAR_LIMIT)
    below = measured & (ratio <= 1.0 - 0.99 * NEAR_LIMIT)
    right = int((growth[above] > 1.0).sum()), int((growth[below] < 1.0).sum())
    counts = int(above.sum()), int(below.sum())
    return [
        Claim(
            STUDY,
            "fastest_mode",
            f"over the first {FIRST_STEPS} steps the mode of lambda_max(sum G) grows for eta above "
            "2/lambda_max and falls below it",
            _where(runs),
            "predicted",
            f"grows in {right[0]} of {counts[0]} runs above, falls in {right[1]} of {counts[1]} "
            "below",
            f"all of {sum(counts)}, {NEAR_LIMIT:.0%} or more off the limit",
            right == counts if min(counts) else None,
            value=sum(right),
            unit="runs",
        )
    ]

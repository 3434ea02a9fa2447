"""Claims of the study ``overparameterized`` (5.7), each against its dataset."""

import numpy as np
import xarray as xr

from descentflow.studies.claim import Claim, lacks
from descentflow.studies.overparameterized.measures import (
    FIRST_STEPS,
    JUDGED_FACTORS,
    ROUNDING_FLOOR,
    TRAINED,
)
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
NO_EXPONENT = "fewer than two widths, or than two networks of a width, or a loss that does not fall"
ANGLE_TOLERANCE, SMALL_ANGLE = 0.05, 0.1
"""Of the power 2 of the angle; corrections of its square are below 1% for smaller angles."""
WIDTHS_PER_INPUT = 4
"""Widths that should be enough, over the number of inputs."""

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
        *_angles(dataset),
        *_fastest_mode(dataset),
        *_least_widths(dataset),
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
        f"exponent {text}" if fitted else NO_EXPONENT,
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
        ratio, rate = runs["bound_ratio"].values, runs["rate_ratio"].values
        ratio, rate = ratio[~np.isnan(ratio)], rate[np.isfinite(rate)]
        worst = float(ratio.max()) if ratio.size else np.nan
        slowest = float(rate.min()) if rate.size else np.nan
        claims.append(
            Claim(
                STUDY,
                "loss_bound",
                "L(k) <= (1 - eta lambda_min(K^(H))/2)^k L(0) for k >= 1, and log L falls at least at "
                "that rate to the end",
                _where(runs),
                "as we state it 5.3",
                f"largest ratio for k >= 1 {worst:.3f}, {int((ratio <= 1.0).sum())} of {ratio.size} "
                f"runs; fitted rates of {rate.size} runs {slowest:.3g} to {rate.max():.3g} times the "
                "bound's"
                if rate.size
                else f"largest ratio {worst:.3f}, no run long enough for a rate",
                f"ratio <= 1 (bound plus {ROUNDING_FLOOR:g} for rounding), rates >= 1",
                worst <= 1.0 and slowest >= 1.0 if ratio.size and rate.size else None,
                value=slowest if rate.size else None,
                unit="of the bound's rate",
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
    for architecture, runs in _by_architecture(
        dataset, "stability", "stability_deep", "stability_images"
    ):
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


def _angles(dataset: xr.Dataset) -> list[Claim]:
    """Judge λ_min(K^(H)) of inputs two of which become parallel."""
    claims = []
    for architecture, runs in _by_architecture(dataset, "angles"):
        runs = runs.sortby("least_angle")
        angle, least = runs["least_angle"].values, runs["limit_least"].values
        positive = bool((least > EIGENVALUE_ROUNDING * runs["limit_greatest"].values).all())
        small = angle <= SMALL_ANGLE
        powers = np.diff(np.log(least[small])) / np.diff(np.log(angle[small]))
        claims.append(
            Claim(
                STUDY,
                f"parallel_inputs_{architecture}",
                "lambda_min(K^(H)) > 0 for inputs of which no two are parallel, and falls like the "
                f"square of the least angle, {NAMES[architecture]}",
                f"angles: {angle.size} sets of inputs, least angles {angle[0]:.3g} to {angle[-1]:.3g}",
                "derived 5.5",
                f"{least[0]:.3g} to {least[-1]:.3g}; powers of the angle {powers.min():.4f} to "
                f"{powers.max():.4f}"
                if powers.size
                else "fewer than two small angles",
                f"> {EIGENVALUE_ROUNDING:g} lambda_max; 2 +- {ANGLE_TOLERANCE:g} between angles up to "
                f"{SMALL_ANGLE:g}",
                positive and bool((np.abs(powers - 2.0) <= ANGLE_TOLERANCE).all())
                if powers.size
                else None,
                value=float(powers[np.abs(powers - 2.0).argmax()]) if powers.size else None,
            )
        )
    return claims


def _fastest_mode(dataset: xr.Dataset) -> list[Claim]:
    return [
        _power_claim(
            runs,
            f"fastest_mode_{architecture}",
            f"for |1 - eta lambda_max| from {JUDGED_FACTORS[0]:g} to {JUDGED_FACTORS[1]:g} the growth "
            f"per step, over the first {FIRST_STEPS}, of the mode of lambda_max(sum G) tends to "
            f"|1 - eta lambda_max| like m^-1, {NAMES[architecture]}",
            "predicted",
            "mode",
            (LINEARISATION_EXPONENT, EXPONENT_TOLERANCE),
        )
        for architecture, runs in _by_architecture(dataset, "step_sizes")
    ]


def _least_widths(dataset: xr.Dataset) -> list[Claim]:
    """Judge the least width from which on all networks are trained, over inputs and depth."""
    claims = []
    for architecture, runs in _by_architecture(dataset, "least_widths"):
        cells = least_widths(runs)
        enough = [width <= WIDTHS_PER_INPUT * inputs for (inputs, _), width in cells.items()]
        texts = [
            f"n = {n}, H = {h}: {int(width) if np.isfinite(width) else 'none'}"
            for (n, h), width in cells.items()
        ]
        steps = int(np.nanmax(runs["step"].values))
        claims.append(
            Claim(
                STUDY,
                f"least_widths_{architecture}",
                f"widths of {WIDTHS_PER_INPUT} n are enough at every depth for all networks to reach "
                f"L(k) <= {TRAINED:g} L(0) in {steps} steps, {NAMES[architecture]}",
                _where(runs),
                "predicted",
                f"least width from which on all do: {'; '.join(texts)}",
                f"at most {WIDTHS_PER_INPUT} n for all of {len(cells)} pairs (n, H)",
                all(enough),
                value=sum(enough),
                unit=f"of {len(cells)} pairs",
            )
        )
    return claims


def least_widths(runs: xr.Dataset) -> dict[tuple[int, int], float]:
    """Return the least width from which on all networks are trained by (n, H), inf where none is."""
    all_of_them = runs["trained_share"].values == 1.0
    keys = zip(runs["input_count"].values, runs["network_depth"].values, strict=True)
    found: dict[tuple[int, int], list[tuple[float, bool]]] = {}
    for (n, h), width, good in zip(keys, runs["network_width"].values, all_of_them, strict=True):
        found.setdefault((int(n), int(h)), []).append((float(width), bool(good)))
    return {key: _from_which_on(pairs) for key, pairs in sorted(found.items())}


def _from_which_on(pairs: list[tuple[float, bool]]) -> float:
    least = np.inf
    for width, good in sorted(pairs, reverse=True):
        if not good:
            break
        least = width
    return least

"""The catalogue of studies: name, title, paper, and which figures need which experiments."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Study:
    """One study; ``figures`` maps a figure's name to the experiment it is drawn from."""

    name: str
    title: str
    paper: str
    figures: dict[str, str]


STUDIES = {
    study.name: study
    for study in (
        Study(
            "constant_targets",
            "Gradient descent for constant targets",
            "arXiv:2102.09924",
            {
                "risk_and_lyapunov": "convergence",
                "dimensions": "dimensions",
                "flow": "flow",
                "step_size_phases": "step_sizes",
            },
        ),
        Study(
            "random_initializations",
            "Piecewise linear targets from random initialisations",
            "arXiv:2108.04620",
            {
                "success": "success",
                "risk_curves": "success",
                "final_risks": "success",
                "hessian_spectra": "success",
                "rates": "success",
            },
        ),
        Study(
            "gradient_flows",
            "Gradient flows to infinite time for affine targets",
            "arXiv:2107.04479",
            {
                "staircase": "staircase",
                "basin": "staircase",
                "invariants": "staircase",
                "saddles": "saddles",
                "small_steps": "small_steps",
                "vector_targets": "vector_targets",
            },
        ),
        Study(
            "blow_up",
            "Gradient flows that diverge, and who has a global minimiser",
            "arXiv:2211.15641",
            {
                "divergence": "diverging",
                "realizations": "diverging",
                "flow_and_descent": "descent",
                "affine": "affine",
                "other_targets": "hinge",
                "minimisers": "affine",
            },
        ),
        Study(
            "overparameterized",
            "Gradient descent on deep over-parameterised networks",
            "arXiv:1811.03804",
            {
                "concentration": "concentration",
                "training": "training",
                "stability": "stability",
                "depth": "depth",
                "step_sizes": "step_sizes",
            },
        ),
    )
}

FIGURE_FORMATS = ("pdf", "svg", "png")

"""Piecewise linear targets from random initialisations: how often descent reaches risk 0."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="random_initializations",
    title="Piecewise linear targets from random initialisations",
    paper="arXiv:2108.04620",
    description="piecewise linear targets from random starts",
    figures={
        "success": Figure("success", "Success over width and number of runs"),
        "risk_curves": Figure("success", "Risk curves and running minimum"),
        "final_risks": Figure("success", "Distribution of final risks"),
        "plateaus": Figure("success", "Where failed runs end"),
        "hessian_spectra": Figure("success", "Hessian spectra at minima"),
        "rates": Figure("success", "Predicted and measured rates"),
    },
    order=2,
)

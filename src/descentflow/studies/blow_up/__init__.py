"""Gradient flows that diverge while the risk falls to an infimum that no network attains."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="blow_up",
    title="Gradient flows that diverge, and who has a global minimiser",
    paper="arXiv:2211.15641",
    description="gradient flows that diverge",
    figures={
        "critical_risks": Figure("critical_risks", "Critical risks of the step over its place"),
        "critical_networks": Figure("critical_risks", "Critical networks of the step"),
        "least_critical_risks": Figure(
            "least_critical_risks", "Least critical risk over the width"
        ),
        "divergence": Figure("diverging", "Divergence and its power laws"),
        "realizations": Figure("diverging", "Networks that steepen to the step"),
        "flow_and_descent": Figure("descent", "Flow and descent, edge of stability"),
        "affine": Figure("affine", "Blow-up by activation"),
        "other_targets": Figure("hinge", "Step, hinge and parabola"),
        "minimisers": Figure("affine", "Who attains the infimum"),
    },
    order=4,
)

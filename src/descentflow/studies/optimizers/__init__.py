"""Stochastic gradient descent, momentum and adaptive methods, with the exact risk beside the loss."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="optimizers",
    title="Stochastic optimisers, with the exact risk",
    paper="arXiv:2402.05155, arXiv:2410.10533, arXiv:2104.00277",
    description="stochastic gradient descent, momentum and adaptive methods with exact risks",
    figures={
        "dead_neurons": Figure("dead_neurons", "Dead neurons over the width"),
        "success": Figure("success", "Success over the width by method"),
        "final_risks": Figure("success", "Final risks by method"),
        "batch_loss": Figure("success", "Exact risk against batch loss"),
        "kinks": Figure("success", "Paths in the plane of kinks"),
        "constant": Figure("constant", "Constant targets by SGD"),
        "noise": Figure("positive_risk", "The scale of batch noise"),
    },
    order=6,
)

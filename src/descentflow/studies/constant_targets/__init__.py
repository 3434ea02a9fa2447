"""Gradient descent and gradient flow for constant targets: the risk tends to 0."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="constant_targets",
    title="Gradient descent for constant targets",
    paper="arXiv:2102.09924",
    description="gradient descent and flow for constant targets",
    figures={
        "risk_and_lyapunov": Figure("convergence", "Risk and Lyapunov function"),
        "dimensions": Figure("dimensions", "Inputs of several dimensions"),
        "flow": Figure("flow", "Gradient flow and its envelope"),
        "depths": Figure("depths", "Risk and Lyapunov function of deep networks"),
        "step_size_phases": Figure("step_sizes", "Step size against the bound"),
    },
    order=1,
)

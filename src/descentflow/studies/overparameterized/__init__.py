"""Deep over-parameterised networks: Gram matrices and linear convergence of descent."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="overparameterized",
    title="Gradient descent on deep over-parameterised networks",
    paper="arXiv:1811.03804",
    description="deep over-parameterised networks",
    figures={
        "concentration": Figure("concentration", "Gram matrices at the start"),
        "training": Figure("training", "Training loss and its bound"),
        "stability": Figure("stability", "Stability over the width"),
        "depth": Figure("depth", "Least eigenvalue over the depth"),
        "step_sizes": Figure("step_sizes", "Around the stability limit"),
        "least_widths": Figure("least_widths", "Which widths are enough"),
    },
    order=5,
)

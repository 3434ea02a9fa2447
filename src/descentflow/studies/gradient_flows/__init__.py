"""Gradient flows for affine targets: they converge to a critical risk."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="gradient_flows",
    title="Gradient flows to infinite time for affine targets",
    paper="arXiv:2107.04479",
    description="gradient flows for affine targets",
    figures={
        "staircase": Figure("staircase", "Staircase of critical risks"),
        "basin": Figure("staircase", "Basin of one neuron"),
        "invariants": Figure("staircase", "Gradient norm and invariants"),
        "saddles": Figure("saddles", "Zig-zag saddles"),
        "small_steps": Figure("small_steps", "Descent against flow"),
        "vector_targets": Figure("vector_targets", "Targets with several outputs"),
    },
    order=3,
)

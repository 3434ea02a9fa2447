"""Deep networks with one input: their pieces, layers that die, success over depth and width."""

from descentflow.config.study import Figure, Study

STUDY = Study(
    name="deep_networks",
    title="Deep networks on an interval",
    paper="arXiv:1901.09021, arXiv:1903.06733",
    description="pieces, dead layers and training of deep networks with one input",
    figures={
        "pieces": Figure("starts", "Number of pieces at the start and in training"),
        "dead_layers": Figure("dead_layers", "Starts with a dead layer"),
        "success": Figure("training", "Success over depth and width"),
        "folding": Figure("folding", "Breakpoints in training"),
    },
    order=7,
)

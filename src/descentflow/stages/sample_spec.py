"""What a sample job's ``spec`` must hold. It imports no kernels, so that editing one redraws no θ₀."""

from descentflow.functions.initializations import InitializationLaw
from descentflow.functions.networks import Layout
from descentflow.stages.chunk_spec import ChunkSpec


class Chunked(ChunkSpec):
    """A job for the initialisations ``first-last`` of a law."""

    initialization: InitializationLaw


class SampleSpec(Chunked):
    """The spec of a sample job."""

    layout: Layout

"""Let Snakemake find the package's progress bars, as the logger ``descentflow``."""

from descentflow.runtime.stage_bars import LogHandler as LogHandler

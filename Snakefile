# The front door. config.yaml is read unless the command line gave studies of its own or says what it
# extends, so that --configfile replaces the shipped studies instead of adding to them.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# Snakemake puts this folder on the path, and a file numpy.py here is not NumPy.
sys.path[:] = [path for path in sys.path if path != str(workflow.basedir)]

from descentflow.config.extends import merged
from descentflow.report.summary import summary
from descentflow.runtime.slurm import cancel_left_over

CONFIG = [] if {"studies", "extends"} & set(config) else ["config.yaml"]
GIVEN = [*filter(os.path.exists, CONFIG), *workflow.overwrite_configfiles]
# The package's strict reader has the say about every file: Snakemake's takes 010 for 8.
try:
    STRICT = merged(map(Path, GIVEN), workflow.config_settings.config)
except ValueError as refusal:
    raise WorkflowError(f"The configuration is not valid:\n{refusal}")

for file in CONFIG:

    configfile: file


config.clear()
config.update(STRICT)


module descentflow:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from descentflow


# On a cluster: jobs that a killed run left are ended before any is submitted again.
onstart:
    cancel_left_over()


onsuccess:
    print(summary(config), file=sys.stderr)

# The front door. config.yaml is read unless the command line gave studies of its own or says what it
# extends, so that --configfile replaces the shipped studies instead of adding to them.
from descentflow.runtime.slurm import cancel_left_over

if not {"studies", "extends"} & set(config):

    configfile: "config.yaml"


module descentflow:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from descentflow


# On a cluster: jobs that a killed run left are ended before any is submitted again.
onstart:
    cancel_left_over()

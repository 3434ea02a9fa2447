# The front door. config.yaml is read unless the command line gave studies of its own, so that
# --configfile replaces the shipped studies instead of adding to them.
if "studies" not in config:

    configfile: "config.yaml"


module descentflow:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from descentflow

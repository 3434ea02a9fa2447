# One rule per study, named like it, so that `snakemake constant_targets` draws that study alone.
for study in STUDIES:

    rule:
        name:
            study
        input:
            JOBS.dataset(study),
        output:
            JOBS.figures(study),
        log:
            f"{RESULTS}/logs/figures/{study}.log",
        localrule: True
        conda:
            "../../envs/descentflow.yaml"
        params:
            job=JOBS.draw_job(study),
        shell:
            "python -m descentflow.stages --job {params.job:q} --input {input:q} "
            "--output {output:q} 2> {log:q}"

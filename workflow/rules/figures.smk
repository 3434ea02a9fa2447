# One rule per study, named like it, so that `snakemake constant_targets` draws that study alone.
for study in STUDIES:

    rule:
        name:
            study
        input:
            JOBS.dataset(study),
        output:
            [
                in_report(
                    path,
                    caption=CAPTIONS.template(study, Path(path).stem),
                    category=CAPTIONS.category(study),
                    labels=CAPTIONS.labels(study, Path(path).stem),
                )
                for path in JOBS.figures(study)
            ],
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


rule claims:
    input:
        JOBS.claims,
    output:
        [
            in_report(
                path,
                caption="../report/claims.rst",
                category=CLAIMS,
                labels={"table": "as a picture"},
            )
            for path in JOBS.claims_figures
        ],
        report(
            JOBS.claims_page,
            caption="../report/claims.rst",
            category=CLAIMS,
            labels={"table": "with filters"},
        ),
    log:
        f"{RESULTS}/logs/figures/claims.log",
    localrule: True
    conda:
        "../../envs/descentflow.yaml"
    params:
        job=JOBS.show_claims_job(),
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"

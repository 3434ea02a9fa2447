# One rule per study, named like it, so that `snakemake constant_targets` draws that study alone.
for study in STUDIES:

    rule:
        name:
            study
        input:
            JOBS.draw(study).inputs,
        output:
            [
                in_report(
                    path,
                    caption=CAPTIONS.template(study, path),
                    category=CAPTIONS.category(study),
                    labels=CAPTIONS.labels(study, path),
                )
                for path in JOBS.draw(study).artefacts
            ],
            JOBS.draw(study).digests,
        log:
            f"{RESULTS}/logs/figures/{study}.log",
        localrule: True
        conda:
            "../../envs/descentflow.yaml"
        params:
            job=JOBS.draw(study).json,
        shell:
            "python -m descentflow.stages --job {params.job:q} --input {input:q} "
            "--output {output:q} 2> {log:q}"


rule claims:
    input:
        JOBS.show_claims().inputs,
    output:
        [
            in_report(
                path,
                caption="../report/claims.rst",
                category=CLAIMS,
                labels={
                    "table": (
                        "with filters" if path.endswith("html") else "as a picture"
                    )
                },
            )
            for path in JOBS.show_claims().artefacts
            if "/paper/" not in path
        ],
        [path for path in JOBS.show_claims().artefacts if "/paper/" in path],
        JOBS.show_claims().digests,
    log:
        f"{RESULTS}/logs/figures/claims.log",
    localrule: True
    conda:
        "../../envs/descentflow.yaml"
    params:
        job=JOBS.show_claims().json,
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"

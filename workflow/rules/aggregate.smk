rule aggregate:
    input:
        lambda wildcards: JOBS.aggregate(wildcards.study).inputs,
    output:
        f"{RESULTS}/datasets/{{study}}.nc",
    log:
        f"{RESULTS}/logs/datasets/{{study}}.log",
    conda:
        "../../envs/descentflow.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * RESOURCES.aggregate_mb(wildcards.study),
        runtime=lambda wildcards, attempt: attempt * 60,
    params:
        job=lambda wildcards: JOBS.aggregate(wildcards.study).json,
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"


rule judge:
    input:
        JOBS.judge().inputs,
    output:
        report(
            JOBS.judge().outputs[0],
            caption="../report/claims.rst",
            category=CLAIMS,
            labels={"table": "as csv"},
        ),
        JOBS.judge().digests,
    log:
        f"{RESULTS}/logs/claims.log",
    localrule: True
    conda:
        "../../envs/descentflow.yaml"
    params:
        job=lambda wildcards: JOBS.judge().json,
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"


# `snakemake judge_constant_targets` judges the claims of that study alone.
for study in STUDIES:

    rule:
        name:
            f"judge_{study}"
        input:
            JOBS.judge(study).inputs,
        output:
            JOBS.judge(study).outputs,
        log:
            f"{RESULTS}/logs/claims/{study}.log",
        localrule: True
        conda:
            "../../envs/descentflow.yaml"
        params:
            job=JOBS.judge(study).json,
        shell:
            "python -m descentflow.stages --job {params.job:q} --input {input:q} "
            "--output {output:q} 2> {log:q}"

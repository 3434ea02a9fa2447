rule aggregate:
    input:
        lambda wildcards: JOBS.trained(wildcards.study),
    output:
        f"{RESULTS}/datasets/{{study}}.nc",
    log:
        f"{RESULTS}/logs/datasets/{{study}}.log",
    conda:
        "../../envs/descentflow.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * JOBS.aggregate_memory_mb(wildcards.study),
        runtime=lambda wildcards, attempt: attempt * 60,
    params:
        job=lambda wildcards: JOBS.aggregate_job(wildcards.study),
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"


rule judge:
    input:
        [JOBS.dataset(study) for study in STUDIES],
    output:
        report(
            JOBS.claims,
            caption="../report/claims.rst",
            category=CLAIMS,
            labels={"table": "as csv"},
        ),
    log:
        f"{RESULTS}/logs/claims.log",
    localrule: True
    conda:
        "../../envs/descentflow.yaml"
    params:
        job=lambda wildcards: JOBS.judge_job(),
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"

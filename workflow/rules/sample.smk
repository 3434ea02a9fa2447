rule sample:
    input:
        lambda wildcards: JOBS.sample(wildcards.start, wildcards.chunk).inputs,
    output:
        f"{RESULTS}/samples/{{start}}/{{chunk}}.nc",
    log:
        f"{RESULTS}/logs/samples/{{start}}/{{chunk}}.log",
    conda:
        "../../envs/descentflow.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 1000,
        runtime=lambda wildcards, attempt: attempt * 15,
    params:
        job=lambda wildcards: JOBS.sample(wildcards.start, wildcards.chunk).json,
    shell:
        "python -m descentflow.stages --job {params.job:q} --input {input:q} "
        "--output {output:q} 2> {log:q}"

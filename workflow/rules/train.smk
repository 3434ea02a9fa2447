rule train:
    input:
        lambda wildcards: JOBS.train_inputs(
            wildcards.run, wildcards.chunk, int(wildcards.segment)
        ),
    output:
        f"{RESULTS}/runs/{{run}}/{{chunk}}.{{segment}}.nc",
    log:
        f"{RESULTS}/logs/runs/{{run}}/{{chunk}}.{{segment}}.log",
    priority: 1
    conda:
        "../../envs/descentflow.yaml"
    threads: 1
    params:
        job=lambda wildcards: JOBS.train_job(
            wildcards.run, wildcards.chunk, int(wildcards.segment)
        ),
    shell:
        "NUMBA_NUM_THREADS={threads} python -m descentflow.stages --job {params.job:q} "
        "--input {input:q} --output {output:q} 2> {log:q}"

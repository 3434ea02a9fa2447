# All jobs of an array get the resources of its first one, so every job of train asks for what the
# largest of them needs. Deep networks differ by orders of magnitude: they have a rule of their own.
rule train:
    input:
        lambda wildcards: JOBS.train_inputs(
            wildcards.run, wildcards.chunk, int(wildcards.segment)
        ),
    output:
        f"{RESULTS}/runs/{{run}}/{{chunk}}.{{segment}}.nc",
    log:
        f"{RESULTS}/logs/runs/{{run}}/{{chunk}}.{{segment}}.log",
    wildcard_constraints:
        run=JOBS.ids(SHALLOW),
    priority: 1
    conda:
        "../../envs/descentflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt * JOBS.most(JOBS.memory_mb, SHALLOW),
        runtime=lambda wildcards, attempt: minutes(
            attempt, JOBS.most(JOBS.seconds, SHALLOW)
        ),
    params:
        job=lambda wildcards: JOBS.train_job(
            wildcards.run, wildcards.chunk, int(wildcards.segment)
        ),
    shell:
        "NUMBA_NUM_THREADS={threads} python -m descentflow.stages --job {params.job:q} "
        "--input {input:q} --output {output:q} 2> {log:q}"


use rule train as train_deep with:
    wildcard_constraints:
        run=JOBS.ids(DEEP),
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * JOBS.memory_mb(wildcards.run, wildcards.chunk, int(wildcards.segment)),
        runtime=lambda wildcards, attempt: minutes(
            attempt,
            JOBS.seconds(wildcards.run, wildcards.chunk, int(wildcards.segment)),
        ),

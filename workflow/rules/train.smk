# All jobs of an array get the resources of its first one, so every job of train asks for what the
# largest of them needs. Deep networks differ by orders of magnitude: they have a rule of their own.
rule train:
    input:
        lambda wildcards: segment(wildcards).inputs,
    output:
        f"{RESULTS}/runs/{{run}}/{{chunk}}.{{segment}}.nc",
    log:
        f"{RESULTS}/logs/runs/{{run}}/{{chunk}}.{{segment}}.log",
    wildcard_constraints:
        run=JOBS.run_pattern(alone=False),
    priority: 1
    conda:
        "../../envs/descentflow.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: attempt
        * RESOURCES.memory_mb(segment(wildcards)),
        runtime=lambda wildcards, attempt: RESOURCES.minutes(
            segment(wildcards), attempt
        ),
    params:
        job=lambda wildcards: segment(wildcards).json,
    shell:
        "NUMBA_NUM_THREADS={threads} python -m descentflow.stages --job {params.job:q} "
        "--input {input:q} --output {output:q} 2> {log:q}"


use rule train as train_deep with:
    wildcard_constraints:
        run=JOBS.run_pattern(alone=True),

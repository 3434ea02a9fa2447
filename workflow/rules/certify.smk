rule certify:
    output:
        f"{RESULTS}/landscapes/{{landscape}}.nc",
        f"{RESULTS}/landscapes/{{landscape}}.json",
        f"{RESULTS}/digests/{{landscape}}.sha256",
    log:
        f"{RESULTS}/logs/landscapes/{{landscape}}.log",
    conda:
        "../../envs/descentflow.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: attempt * 1000,
        runtime=lambda wildcards, attempt: attempt * 15,
    params:
        job=lambda wildcards: JOBS.certify(wildcards.landscape).json,
    shell:
        "python -m descentflow.stages --job {params.job:q} --output {output:q} 2> {log:q}"

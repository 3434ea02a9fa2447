"""Snakemake's records of finished jobs: found, held against the jobs, and stripped of run times.

Snakemake keeps one JSON file per output under ``.snakemake/metadata``, named by the base64 of the
output's path. With them an unpacked archive is up to date; without them Snakemake could only
compare modification times. ``starttime``, ``endtime``, ``job_hash`` (a hash of the running process)
and ``external_jobid`` say nothing that lasts; ``shellcmd`` repeats ``code`` and ``params`` with the
number of threads. They are set to constants, which Snakemake accepts.
"""

import base64
import json
from pathlib import Path
from typing import Any

from descentflow.errors import InputError

FOLDER = ".snakemake/metadata"
CONSTANTS: dict[str, Any] = {
    "starttime": 0.0,
    "endtime": 0.0,
    "job_hash": None,
    "external_jobid": None,
    "shellcmd": None,
}
Record = dict[str, Any]


def name(output: str) -> str:
    """The record's path for an output, relative to the working directory."""
    encoded = base64.urlsafe_b64encode(output.encode()).decode()
    return f"{FOLDER}/{encoded}"


def read(root: Path, output: str) -> Record:
    """The record of an output; raises InputError where there is no whole one."""
    try:
        record = json.loads((root / name(output)).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise InputError(f"{output}: Snakemake has no record of it; run `make figures`") from None
    if not isinstance(record, dict) or not _whole(record):
        raise InputError(f"{output}: incomplete; run `make figures`")
    return record


def _whole(record: Record) -> bool:
    params, checksums = record.get("params"), record.get("input_checksums")
    typed = isinstance(params, list) and isinstance(checksums, dict | None)
    return typed and not record.get("incomplete")


def check(output: str, record: Record, job: str, digests: dict[str, str]) -> None:
    """Refuse an output made by another job, or from inputs with other bytes.

    ``digests`` are the SHA-256 of all results by path.
    """
    if not {job, repr(job)} & set(map(str, record["params"])):
        raise InputError(
            f"{output}: made by another configuration, code, lock file or Python; "
            "run `make figures`"
        )
    for source, checksum in (record.get("input_checksums") or {}).items():
        if str(checksum).removeprefix("sha256:") != digests.get(source):
            raise InputError(f"{output}: made from another {source}; run `make figures`")


def stripped(record: Record) -> bytes:
    """The record without run times, in one form."""
    return (json.dumps({**record, **CONSTANTS}, sort_keys=True) + "\n").encode()

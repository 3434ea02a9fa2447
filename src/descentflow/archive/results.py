"""Read all results of a configuration, and hold each against the digest that was kept with it."""

import json
from collections.abc import Iterator
from pathlib import Path

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile
from descentflow.planning.jobs import Job, Jobs
from descentflow.runtime import digest_list


def damaged(jobs: Jobs, root: Path = Path()) -> Iterator[str]:
    """Yield a line for every file that is missing, altered, or of another job than its name says."""
    for job in jobs.all():
        missing = [path for path in job.outputs if not (root / path).is_file()]
        yield from (f"{path}: missing" for path in missing)
        if job.digests and not missing:
            *files, path = (root / output for output in job.outputs)
            altered = digest_list.altered(path, files)
            yield from (f"{file}: altered since it was made" for file in altered)
        elif not missing:
            yield from filter(None, (_damage(job, root / path) for path in job.outputs))


def _damage(job: Job, path: Path) -> str:
    """Return what is wrong with a netCDF file, if anything is."""
    try:
        spec = netcdf.spec_of(netcdf.read(path), path)
    except DamagedFile as damage:
        return str(damage)
    known = spec.get("study") == job.study if job.stage == "aggregate" else spec == _plain(job)
    return "" if known else f"{path}: holds another run than its name says"


def _plain(job: Job) -> object:
    return json.loads(json.dumps(job.spec))

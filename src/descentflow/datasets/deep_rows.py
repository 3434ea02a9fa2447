"""What the rows of the study ``overparameterized`` are made of: files joined, limits computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import xarray as xr

from descentflow.datasets import netcdf
from descentflow.deep.data import draw_inputs
from descentflow.deep.experiment import AtStart, Descending, Limit
from descentflow.deep.gram import limit_gram
from descentflow.errors import DamagedFile
from descentflow.planning.deep_runs import DeepRun, DescentRun, runs_of
from descentflow.planning.identity import canonical
from descentflow.simd.arrays import Array
from descentflow.training.recording import record_steps


@dataclass(frozen=True)
class DeepRow:
    """One setting: dims (initialization, step, ..) of what its files hold, nothing for limits."""

    experiment: str
    setting: Limit | AtStart
    seed: int
    run_id: str = ""
    step_size: Any = None
    data: xr.Dataset | None = None

    @property
    def count(self) -> int:
        """How many initialisations."""
        return 0 if self.data is None else int(self.data.sizes["initialization"])

    @property
    def records(self) -> xr.Dataset | None:
        """Its data where it was trained."""
        return self.data if self.data is not None and "loss" in self.data else None

    @cached_property
    def limit(self) -> Array:
        """K^(H) of its inputs."""
        network = self.setting.network
        return limit_gram(
            draw_inputs(self.setting.inputs, self.seed),
            architecture=network.architecture,
            activation=network.activation,
            depth=network.depth,
            residual_scale=network.residual_scale,
        )


def assemble(
    block: Mapping[str, list[Limit | AtStart]], seed: int, lock: str, files: Iterator[Path]
) -> list[DeepRow]:
    """Read the files of the runs, in the order run, chunk, segment; then the limits' rows.

    Raises DamagedFile where a file is damaged or belongs elsewhere.
    """
    rows: list[DeepRow] = []
    for run in runs_of(block, seed, lock):
        chunks = [
            _segments_of(run, chunk, list(islice(files, len(run.segments)))) for chunk in run.chunks
        ]
        timed = [name for name in chunks[0] if "initialization" in chunks[0][name].dims]
        joined = xr.concat([chunk[timed] for chunk in chunks], "initialization", join="exact")
        joined = joined.isel(initialization=slice(0, run.setting.initialization.count))
        if isinstance(run, DescentRun):
            rows += [
                DeepRow(run.experiment, run.setting, seed, run.id, size, joined.isel(size=number))
                for number, size in enumerate(run.step_sizes)
            ]
        else:
            rows.append(DeepRow(run.experiment, run.setting, seed, run.id, None, joined))
    extra = next(files, None)
    if extra is not None:
        raise DamagedFile(f"{extra}: belongs to no run of the study")
    limits = [
        DeepRow(name, setting, seed)
        for name, settings in sorted(block.items())
        for setting in settings
        if not isinstance(setting, AtStart)
    ]
    return [*rows, *limits]


def _segments_of(run: DeepRun, chunk: str, paths: Sequence[Path]) -> xr.Dataset:
    """One chunk from its first to its last step: records of all segments, the end of the last."""
    if len(paths) < len(run.segments):
        raise DamagedFile(f"--input: files of run {run.id}, chunk {chunk} are missing")
    parts = []
    for path, segment in zip(paths, run.segments, strict=True):
        part = netcdf.read(path)
        expected = canonical({**run.spec, "chunk": chunk, "segment": list(segment)})
        if part.attrs["spec"] != expected:
            raise DamagedFile(f"{path}: holds another run than its name says")
        parts.append(part.drop_vars(["weights", "weights_digest"], errors="ignore"))
    if not isinstance(run.setting, Descending):
        return parts[0].drop_attrs()
    training = run.setting.training
    wanted = record_steps(training.steps, training.records_per_decade)
    timed = [name for name, values in parts[-1].data_vars.items() if "step" in values.dims]
    records = xr.concat([part[timed] for part in parts], dim="step", join="exact")
    ended = parts[-1].drop_dims("step")
    return xr.merge([ended, records.sel(step=wanted)], combine_attrs="drop", join="exact")

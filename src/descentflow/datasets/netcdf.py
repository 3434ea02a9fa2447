"""Write netCDF files that are never half written, with spec and digest; check the digest on reading.

A file is written under a temporary name and renamed. It carries its spec (canonical JSON), the
package's version and a digest of its content; reading recomputes the digest, so that a file that was
truncated or changed is reported by name and never read as data.
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow import __version__
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import CannotWrite, DamagedFile, printable
from descentflow.planning.identity import canonical
from descentflow.planning.stored import RUNNING, Stored

DIGEST = "content_digest"
AGAIN = "delete it and run again"
RUN_TABLE = {"run_id": Stored(("run",), "text"), "experiment": Stored(("run",), "text")}
"""What every study's dataset has."""

SLAB = 2**20
"""Numbers of a large variable that are read and hashed at a time, about."""

PATIENCE = 60.0
"""Seconds that reading may take, and another one for each megabyte."""

_UNDECODED: dict[str, Any] = {
    "mask_and_scale": False,
    "decode_times": False,
    "concat_characters": False,
}


def content_digest(dataset: xr.Dataset) -> str:
    """Return the SHA-256 of names, dimensions, types, values and attributes.

    It does not depend on compression or chunks. A dataset still in its file is read by slabs.
    """
    hashed = hashlib.sha256()
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        if variable.dtype.kind in "OUT":  # text: objects, Unicode, NumPy's StringDType
            texts = [canonical([str(v) for v in np.asarray(variable.values).ravel()]).encode()]
            kind, data = "text", iter(texts)
        else:
            kind = variable.dtype.str
            data = (np.ascontiguousarray(slab).tobytes() for slab in _slabs(variable))
        head = [name, list(map(str, variable.dims)), list(variable.shape), kind]
        hashed.update(canonical(head).encode() + _text(variable.attrs))
        for part in data:
            hashed.update(part)
    attributes = {key: value for key, value in dataset.attrs.items() if key != DIGEST}
    hashed.update(_text(attributes))
    return hashed.hexdigest()


def _slabs(variable: xr.Variable) -> Iterator[NDArray[Any]]:
    """Yield the values in C order, at most SLAB numbers at a time, by slices of the first dimension."""
    if variable.size <= SLAB or variable.ndim == 0:
        yield np.asarray(variable.values)
        return
    slice_size = variable.size // variable.shape[0]
    step = max(1, SLAB // slice_size)
    for first in range(0, variable.shape[0], step):
        part = variable[first : first + step]
        yield from _slabs(part[0]) if slice_size > SLAB else [np.asarray(part.values)]


def write(dataset: xr.Dataset, path: Path, spec: Mapping[str, Any], title: str) -> None:
    """Write the dataset with CF-1.11 attributes, its spec, the version and its digest.

    Raises CannotWrite, naming the file.
    """
    with atomic_path(path) as temporary, as_full_disk(path):
        attributes = described(dataset, spec, title)
        digest = content_digest(dataset.copy().assign_attrs(attributes))
        save(dataset, temporary, {**attributes, DIGEST: digest})


def described(dataset: xr.Dataset, spec: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return a file's attributes: the dataset's, and conventions, title, version and spec."""
    return {
        "Conventions": "CF-1.11",
        "title": title,
        "source": f"descentflow {__version__}",
        "descentflow_version": __version__,
        "spec": canonical(spec),
        **dataset.attrs,
    }


def save(dataset: xr.Dataset, path: Path, attributes: Mapping[str, Any]) -> None:
    """Write a netCDF-4 file with these attributes; numbers of two or more dimensions are compressed."""
    dataset = dataset.copy()
    dataset.attrs = dict(attributes)
    encoding = {
        str(name): {"zlib": True, "complevel": 1, "_FillValue": None}
        if variable.dtype.kind in "fiu" and variable.ndim > 1
        else {"_FillValue": None}
        for name, variable in dataset.variables.items()
    }
    dataset.to_netcdf(path, format="NETCDF4", engine="netcdf4", encoding=encoding)


def seal(path: Path) -> None:
    """Add the content digest to a file that is written in full."""
    with _opened(path) as dataset:
        digest = content_digest(dataset)
    with netCDF4.Dataset(path, "a") as file:
        file.setncattr(DIGEST, digest)


@contextlib.contextmanager
def as_full_disk(path: Path) -> Iterator[None]:
    """Turn the RuntimeError of the netCDF library on a full disk into CannotWrite, naming the file."""
    try:
        yield
    except RuntimeError as error:
        raise CannotWrite(f"{path}: cannot be written ({error}); is the disk full?") from None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    """Open a file without reading its values; raises DamagedFile, naming it."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise DamagedFile(f"{path}: not a file")
    try:
        with _patience(path):
            dataset = xr.open_dataset(path, engine="netcdf4", cache=False, **_UNDECODED)
    except FileNotFoundError:
        raise DamagedFile(f"{path}: missing") from None
    except Exception as error:  # the netCDF and HDF5 libraries raise many kinds
        raise _unreadable(path, error) from None
    with dataset:
        yield dataset


@contextlib.contextmanager
def _patience(path: Path) -> Iterator[None]:
    """End the process with a line that names the file if the block does not come to an end.

    The HDF5 library loops for ever over one of a hundred randomly damaged files, where no exception
    reaches it.
    """

    def give_up() -> None:
        text = f"error: {path}: damaged: reading it does not come to an end; {AGAIN}"
        os.write(2, f"{printable(text)}\n".encode())
        os._exit(1)

    size = path.stat().st_size if path.exists() else 0
    timer = threading.Timer(PATIENCE + size / 1e6, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def read(path: Path) -> xr.Dataset:
    """Read a file of :func:`write` into memory; raises DamagedFile, naming it."""
    with _opened(path) as opened:
        try:
            with _patience(path):
                dataset = opened.load()
        except Exception as error:  # the netCDF and HDF5 libraries raise many kinds
            raise _unreadable(path, error) from None
    _check(dataset, path)
    return dataset


@contextlib.contextmanager
def opened_study(path: Path, study: str) -> Iterator[xr.Dataset]:
    """Open and check a study's dataset; its values stay in the file until they are used.

    Raises DamagedFile if the file is not the study's dataset, and where the block does not find a
    variable in it.
    """
    with _opened(path) as dataset:
        _check(dataset, path)
        if spec_of(dataset, path).get("study") != study:
            raise DamagedFile(f"{path}: is not the dataset of {study}")
        # A study may have lists of critical risks and no runs.
        least = 0 if "landscape" in dataset.sizes and "initialization" not in dataset.sizes else 1
        check_variables(dataset, path, RUN_TABLE, {"run": max(least, dataset.sizes.get("run", 0))})
        try:
            yield dataset
        except KeyError as missing:
            raise DamagedFile(f"{path}: has no variable {missing}; {AGAIN}") from missing


def _check(dataset: xr.Dataset, path: Path) -> None:
    if not isinstance(dataset.attrs.get(DIGEST), str):
        raise DamagedFile(f"{path}: not written by descentflow (no text {DIGEST})")
    try:
        with _patience(path):
            digest = content_digest(dataset)
    except Exception as error:  # as above: the values of an open file are read here
        raise _unreadable(path, error) from None
    if digest != dataset.attrs[DIGEST]:
        raise DamagedFile(f"{path}: its content does not match its digest; {AGAIN}")


def _unreadable(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"{path}: not a readable netCDF-4 file ({error})")


def spec_of(dataset: xr.Dataset, path: Path) -> dict[str, Any]:
    """Return the spec that a file carries; raises DamagedFile where it is no JSON object."""
    try:
        spec = json.loads(dataset.attrs["spec"])
    except (KeyError, TypeError, ValueError, RecursionError):
        spec = None
    if not isinstance(spec, dict):
        raise DamagedFile(f"{path}: has no usable spec; {AGAIN}")
    return spec


def check_variables(
    dataset: xr.Dataset, path: Path, variables: Mapping[str, Stored], sizes: Mapping[str, int]
) -> None:
    """Check dimensions, type, lengths and finiteness of variables; raises DamagedFile.

    A digest tells that a file is as it was written, not that it was written by this package: kernels
    must never see arrays of other shapes, whoever has made the file.
    """
    for name, stored in variables.items():
        if name not in dataset.variables:
            raise DamagedFile(f"{path}: has no variable '{name}'; {AGAIN}")
        variable = dataset.variables[name]
        dtype = "text" if variable.dtype.kind in "OUT" else str(variable.dtype)
        found = dtype, dict(zip(variable.dims, variable.shape, strict=True))
        needed = stored.dtype, {dim: sizes.get(dim, 1) for dim in stored.dims}
        if found != needed or variable.dims != stored.dims:
            raise DamagedFile(f"{path}: '{name}' must be {needed}, found {found}; {AGAIN}")
        if stored.finite and not _finite(dataset, variable, stored.finite):
            raise DamagedFile(f"{path}: '{name}' holds nan or infinite numbers; {AGAIN}")


def _finite(dataset: xr.Dataset, variable: xr.Variable, which: str) -> bool:
    if which == "all":
        return bool(np.isfinite(variable.values).all())
    running = dataset["status"].values == RUNNING
    if which == "running":
        return bool(np.isfinite(variable.values[running]).all())
    numbers = variable.values[running]
    return numbers.size == 0 or not bool(np.isnan(numbers).all())


def _text(attributes: Mapping[Any, Any]) -> bytes:
    """Write attributes as bytes; values that JSON cannot hold, from other programs, by their repr."""
    return json.dumps(_plain(attributes), sort_keys=True, default=repr).encode()


def _plain(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn attributes into plain Python values; a list of one becomes its entry, as netCDF reads it."""
    plain: dict[str, Any] = {}
    for key, value in attributes.items():
        listed = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        one = isinstance(listed, list | tuple) and len(listed) == 1
        plain[str(key)] = listed[0] if one else listed
    return plain

"""Write netCDF files that are never half written, with spec and digest; check the digest on reading.

A file is written under a temporary name and renamed. It carries its spec (canonical JSON), the
package's version and a digest of its content; reading recomputes the digest, so that a file that was
truncated or changed is reported by name and never read as data.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from descentflow import __version__
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import CannotWrite, DamagedFile
from descentflow.planning.identity import canonical

DIGEST = "content_digest"
SLAB = 2**20
"""Numbers of a large variable that are read and hashed at a time, about."""

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
        dataset = xr.open_dataset(path, engine="netcdf4", cache=False, **_UNDECODED)
    except FileNotFoundError:
        raise DamagedFile(f"{path}: missing") from None
    except Exception as error:  # the netCDF and HDF5 libraries raise many kinds
        raise _unreadable(path, error) from None
    with dataset:
        yield dataset


def read(path: Path) -> xr.Dataset:
    """Read a file of :func:`write` into memory; raises DamagedFile, naming it."""
    with _opened(path) as opened:
        try:
            dataset = opened.load()
        except Exception as error:  # the netCDF and HDF5 libraries raise many kinds
            raise _unreadable(path, error) from None
    _check(dataset, path)
    return dataset


@contextlib.contextmanager
def opened_study(path: Path, study: str) -> Iterator[xr.Dataset]:
    """Open and check a study's dataset; its values stay in the file until they are used.

    Raises DamagedFile if the file is not the study's dataset.
    """
    with _opened(path) as dataset:
        _check(dataset, path)
        _check_study(dataset, path, study)
        yield dataset


def _check(dataset: xr.Dataset, path: Path) -> None:
    if DIGEST not in dataset.attrs:
        raise DamagedFile(f"{path}: not written by descentflow (no {DIGEST})")
    try:
        digest = content_digest(dataset)
    except Exception as error:  # as above: the values of an open file are read here
        raise _unreadable(path, error) from None
    if digest != dataset.attrs[DIGEST]:
        raise DamagedFile(f"{path}: its content does not match its digest; delete it and run again")


def _unreadable(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"{path}: not a readable netCDF-4 file ({error})")


def _check_study(dataset: xr.Dataset, path: Path, study: str) -> None:
    if json.loads(dataset.attrs["spec"]).get("study") != study:
        raise DamagedFile(f"{path}: is not the dataset of {study}")


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

"""Describe artefacts by digests of their decoded content, independent of compression and versions.

The content is: values and attributes of a dataset, the pixels of a PNG, the inflated drawing commands
of a PDF, the text of an SVG without its metadata, the rows of a table. Beside a digest stands a
*fingerprint*: a few numbers from which a deviation can be measured without the artefact. A fingerprint
is evidence, not proof: different values may share one.
"""

import csv
import hashlib
import io
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from descentflow.datasets import netcdf
from descentflow.errors import DamagedFile
from descentflow.planning.identity import canonical

Entry = dict[str, Any]
"""The description of one file, as JSON can hold it."""

RECORDED = ("status", "stopped_at", "step", "time", "risk", "gradient_norm", "parameter_norm")
"""Variables of a study's dataset that training records: their bits are promised for exact risks."""

CELLS = 16
"""A picture's fingerprint is its grey values averaged over CELLS × CELLS fields."""

MAX_STREAM = 1 << 28
"""Bytes to which a stream of a figure is inflated at most."""

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_REFERENCES = re.compile(rb"\nxref\n.*", re.DOTALL)
_LENGTHS = re.compile(rb"/Length1? \d+(?: 0 R)?|^\d+\n(?=endobj)", re.MULTILINE)
_METADATA = re.compile(rb"<metadata>.*?</metadata>", re.DOTALL)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file; raises DamagedFile where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror}") from None


def describe(path: Path, exact: set[str]) -> Entry:
    """Describe a file by its kind; raises DamagedFile where it is missing or broken.

    ``exact`` are the ids of the runs whose recorded bits are promised.
    """
    entry: Entry = {"sha256": sha256(path), "bytes": path.stat().st_size}
    if path.suffix == ".nc":
        dataset = netcdf.read(path)
        entry["content"] = netcdf.content_digest(dataset)
        entry["recorded"] = recorded_digest(dataset, exact)
        entry["variables"] = fingerprint(dataset)
    elif path.suffix == ".csv":
        entry["content"] = table_digest(path)
        entry["verdicts"] = verdicts(path)
    elif path.suffix in FIGURES:
        entry["content"] = figure_digest(path)
    else:
        entry["content"] = entry["sha256"]
    if path.suffix == ".png":
        entry["thumbnail"] = thumbnail(path)
    return entry


def recorded_digest(dataset: xr.Dataset, exact: set[str]) -> str | None:
    """Return the digest of the variables in RECORDED of the runs in ``exact``; None without any."""
    if "run_id" not in dataset.variables:
        return None
    chosen = np.isin(dataset["run_id"].values.astype(str), sorted(exact))
    if not chosen.any():
        return None
    hashed = hashlib.sha256()
    for name in RECORDED:
        if name in dataset.variables and dataset[name].dims[:1] == ("run",):
            values = np.ascontiguousarray(dataset[name].values[chosen])
            hashed.update(canonical([name, list(values.shape), values.dtype.str]).encode())
            hashed.update(values.tobytes())
    return hashed.hexdigest()


def fingerprint(dataset: xr.Dataset) -> dict[str, Entry]:
    """Sum up each variable: numbers of values and of nan, mean, rms, extremes; or a digest."""
    return {
        str(name): _of_values(np.asarray(dataset[name].values))
        for name in sorted(map(str, dataset.variables))
    }


def _of_values(values: np.ndarray[Any, Any]) -> Entry:
    """Round sums once (``math.fsum``), so that every processor finds the same numbers."""
    if values.dtype.kind in "OUT":
        text = canonical([str(value) for value in values.ravel()])
        return {"count": values.size, "text": hashlib.sha256(text.encode()).hexdigest()}
    numbers = values.astype(np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    entry: Entry = {
        "count": values.size,
        "nan": int(np.isnan(numbers).sum()),
        "finite": finite.size,
    }
    if finite.size:
        largest = float(np.abs(finite).max())
        unit = largest if largest > 1e-290 else 1.0
        scaled = finite / unit
        entry["mean"] = unit * (math.fsum(scaled) / finite.size)
        entry["rms"] = unit * math.sqrt(math.fsum(scaled * scaled) / finite.size)
        entry["min"], entry["max"] = float(finite.min()), float(finite.max())
    return entry


def figure_digest(path: Path) -> str:
    """Return the digest of a figure's content; raises DamagedFile where the file is no such figure."""
    data = _bytes(path)
    try:
        return hashlib.sha256(FIGURES[path.suffix](data)).hexdigest()
    except Exception as error:  # image libraries raise many kinds
        raise DamagedFile(f"{path}: not a readable {path.suffix[1:]} file ({error})") from None


def thumbnail(path: Path) -> str:
    """Return grey values of a PNG averaged over CELLS × CELLS fields, two hexadecimal digits each."""
    grey = _image(_bytes(path))[..., :3].mean(axis=2)
    rows = np.array_split(grey, CELLS, axis=0)
    cells = [cell.mean() for row in rows for cell in np.array_split(row, CELLS, axis=1)]
    return bytes(round(float(cell)) for cell in cells).hex()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror}") from None


def _image(data: bytes) -> np.ndarray[Any, Any]:
    from PIL import Image  # loaded only where figures are looked at

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA"))


def _pixels(data: bytes) -> bytes:
    pixels = _image(data)
    return canonical(list(pixels.shape)).encode() + pixels.tobytes()


def _drawing(data: bytes) -> bytes:
    """Inflate a PDF's streams, and drop lengths and offsets, which depend on the deflater."""
    if not data.startswith(b"%PDF-") or not data.rstrip().endswith(b"%%EOF"):
        raise ValueError("no PDF, or cut off")

    def inflated(match: re.Match[bytes]) -> bytes:
        try:
            data = zlib.decompressobj().decompress(match[1], MAX_STREAM)
            return b"stream\n" + data + b"\nendstream"
        except zlib.error:
            return match[0]

    return _LENGTHS.sub(b"", _REFERENCES.sub(b"", _STREAM.sub(inflated, data)))


def _markup(data: bytes) -> bytes:
    if not data.rstrip().endswith(b"</svg>"):
        raise ValueError("no SVG, or cut off")
    return _METADATA.sub(b"", data).replace(b"\r\n", b"\n")


FIGURES = {".png": _pixels, ".pdf": _drawing, ".svg": _markup}


def table_rows(path: Path) -> list[list[str]]:
    """Return the cells of a table, header included; raises DamagedFile."""
    try:
        return list(csv.reader(io.StringIO(_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedFile(f"{path}: not a readable table ({error})") from None


def table_digest(path: Path) -> str:
    """Return the digest of a table's cells."""
    return hashlib.sha256(canonical(table_rows(path)).encode()).hexdigest()


def verdicts(path: Path) -> list[list[str]]:
    """Return study, id and verdict of every claim; raises DamagedFile for other tables."""
    rows = table_rows(path)
    try:
        columns = [rows[0].index(name) for name in ("study", "id", "verdict")]
        return [[row[column] for column in columns] for row in rows[1:]]
    except (IndexError, ValueError):
        raise DamagedFile(f"{path}: not a table of claims") from None

"""What an artefact says, apart from how its file happens to be encoded.

Every kind of artefact has a *content digest*, which a different compression library or a different
version string in the file does not change: values and attributes of a dataset, the pixels of a PNG,
the inflated drawing commands of a PDF, the text of an SVG without its metadata, the rows of a table.
Beside it stands a *fingerprint*: a few numbers from which, without the artefact, a deviation can be
measured. A fingerprint is evidence, not proof: different values may share one.
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

RECORDED = ("status", "stopped_at", "step", "time", "risk", "gradient_norm", "parameter_norm")
"""What training records, as named in a study's dataset: bit for bit promised for exact risks."""

CELLS = 16
"""A picture's fingerprint is its grey values averaged over CELLS × CELLS fields."""

LARGEST = 1 << 28
"""No stream of a figure is inflated beyond this."""

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_REFERENCES = re.compile(rb"\nxref\n.*", re.DOTALL)
_LENGTHS = re.compile(rb"/Length1? \d+(?: 0 R)?|^\d+\n(?=endobj)", re.MULTILINE)
_METADATA = re.compile(rb"<metadata>.*?</metadata>", re.DOTALL)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes; raises DamagedFile where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DamagedFile(f"{path}: cannot be read: {error.strerror}") from None


def recorded_digest(dataset: xr.Dataset, exact: set[str]) -> str | None:
    """Digest of what training recorded in the runs whose ids are in ``exact``; None without any."""
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


def fingerprint(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Per variable: numbers of values and of nan, mean, root mean square, extremes; or a digest."""
    return {
        str(name): _of_values(np.asarray(dataset[name].values))
        for name in sorted(map(str, dataset.variables))
    }


def _of_values(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Sums are rounded once (``math.fsum``), so that every processor finds the same numbers."""
    if values.dtype.kind in "OUT":
        text = canonical([str(value) for value in values.ravel()])
        return {"count": values.size, "text": hashlib.sha256(text.encode()).hexdigest()}
    numbers = values.astype(np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    found: dict[str, Any] = {
        "count": values.size,
        "nan": int(np.isnan(numbers).sum()),
        "finite": finite.size,
    }
    if finite.size:
        largest = float(np.abs(finite).max())
        scaled = finite / largest if largest > 1e-290 else finite
        unit = largest if largest > 1e-290 else 1.0
        found["mean"] = unit * (math.fsum(scaled) / finite.size)
        found["rms"] = unit * math.sqrt(math.fsum(scaled * scaled) / finite.size)
        found["min"], found["max"] = float(finite.min()), float(finite.max())
    return found


def figure_digest(path: Path) -> str:
    """Digest of what a figure shows; raises DamagedFile where the file is no such figure."""
    data = _bytes(path)
    forms = {".png": _pixels, ".pdf": _drawing, ".svg": _markup}
    try:
        return hashlib.sha256(forms[path.suffix](data)).hexdigest()
    except Exception as error:  # image libraries raise many kinds
        raise DamagedFile(f"{path}: not a readable {path.suffix[1:]} file ({error})") from None


def thumbnail(path: Path) -> str:
    """Grey values of a PNG averaged over CELLS × CELLS fields, two hexadecimal digits each."""
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
    """A PDF with its streams inflated, without lengths and offsets, which depend on the deflater."""
    if not data.startswith(b"%PDF-") or not data.rstrip().endswith(b"%%EOF"):
        raise ValueError("no PDF, or cut off")

    def inflated(match: re.Match[bytes]) -> bytes:
        try:
            data = zlib.decompressobj().decompress(match[1], LARGEST)
            return b"stream\n" + data + b"\nendstream"
        except zlib.error:
            return match[0]

    return _LENGTHS.sub(b"", _REFERENCES.sub(b"", _STREAM.sub(inflated, data)))


def _markup(data: bytes) -> bytes:
    if not data.rstrip().endswith(b"</svg>"):
        raise ValueError("no SVG, or cut off")
    return _METADATA.sub(b"", data).replace(b"\r\n", b"\n")


def table_rows(path: Path) -> list[list[str]]:
    """The cells of a table, header included; raises DamagedFile."""
    try:
        return list(csv.reader(io.StringIO(_bytes(path).decode(), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DamagedFile(f"{path}: not a readable table ({error})") from None


def table_digest(path: Path) -> str:
    """Digest of a table's cells."""
    return hashlib.sha256(canonical(table_rows(path)).encode()).hexdigest()


def verdicts(path: Path) -> list[list[str]]:
    """Study, id and verdict of every claim; raises DamagedFile where the table has no such columns."""
    rows = table_rows(path)
    try:
        columns = [rows[0].index(name) for name in ("study", "id", "holds")]
        return [[row[column] for column in columns] for row in rows[1:]]
    except (IndexError, ValueError):
        raise DamagedFile(f"{path}: not a table of claims") from None


def read_dataset(path: Path) -> xr.Dataset:
    """A netCDF file of the package, its digest checked; raises DamagedFile."""
    return netcdf.read(path)

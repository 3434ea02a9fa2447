"""Columns of numbers in a csv file, named by its first line."""

import csv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from descentflow.errors import ConfigurationError
from descentflow.schema.messages import nearest, shown
from descentflow.schema.model import parse_number

MAX_BYTES = 2**26


def column(file: str, name: str) -> tuple[float, ...]:
    """Read a column; raises ConfigurationError that names file, line and column."""
    lines = _lines(file)
    header, rows = lines[0][1], lines[1:]
    if header.count(name) != 1:
        hint = nearest(name, header)
        found = "more than one column" if name in header else "no column"
        text = f"{file} has {found} {shown(name)}{hint}; its columns: {', '.join(header)}"
        raise ConfigurationError(text)
    if not rows:
        raise ConfigurationError(f"{file} has no line of numbers below the names of its columns")
    place = header.index(name)
    return tuple(_number(file, line, name, row, place) for line, row in rows)


def _number(file: str, line: int, name: str, row: Sequence[str], place: int) -> float:
    where = f"{file}, line {line}, column {shown(name)}"
    if place >= len(row) or not row[place].strip():
        raise ConfigurationError(f"{where}: a number is needed, found nothing")
    try:
        return parse_number(row[place])
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}, found {shown(row[place])}") from None


def _lines(file: str) -> Sequence[tuple[int, Sequence[str]]]:
    """Return the lines that are not blank, numbered from 1, as lists of texts."""
    try:
        state = Path(file).stat()
        if state.st_size > MAX_BYTES:
            size = f"{state.st_size / 2**20:.3g} MiB"
            raise ConfigurationError(f"{file} has {size}, allowed are {MAX_BYTES // 2**20}")
        return _read(file, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{file} is no csv file: {error}") from None


@lru_cache(maxsize=8)
def _read(file: str, _changed: int, _size: int) -> Sequence[tuple[int, Sequence[str]]]:
    """Read a file once, until it changes."""
    with Path(file).open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        lines = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    if not lines:
        raise ConfigurationError(f"{file} is empty")
    number, header = lines[0]
    return [(number, [name.strip() for name in header]), *lines[1:]]

"""Read what Snakemake's arguments say about the configuration, as Snakemake itself will read them."""

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descentflow.config.extends import merged
from descentflow.errors import InputError
from descentflow.schema import yaml_file


@dataclass(frozen=True)
class Given:
    """The working folder, and the files of the configuration that are merged over config.yaml."""

    folder: Path
    files: tuple[Path, ...]


def given(arguments: Sequence[str]) -> Given:
    """Parse arguments with Snakemake's own parser, which also reads its profiles.

    Files and values of the configuration are checked by the strict reader. Raises InputError; exits as
    Snakemake does where it would print help or usage.
    """
    from snakemake.cli import parse_args, resolve_snakefile

    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):  # Snakemake will say it all again
            _, parsed = parse_args(list(arguments))
    except SystemExit:
        sys.stderr.write(messages.getvalue())
        raise
    except Exception as error:  # of many kinds, profiles that are no YAML among them
        raise InputError(f"Snakemake's arguments: {error}") from None
    if resolve_snakefile(parsed.snakefile, allow_missing=True) is None:
        raise InputError("no Snakefile here; run this at the top of a checkout")
    _check_values(parsed.config or ())
    files = tuple(map(Path, parsed.configfile))
    merged(files, {})
    return Given(Path(parsed.directory or "."), files)


def _check_values(entries: Sequence[str]) -> None:
    """Refuse what ``--config`` would read as something else than it says; raises InputError."""
    from snakemake.cli import parse_config

    values: dict[str, Any] = {}
    for entry in entries:
        key, _, text = entry.partition("=")
        try:
            value = parse_config([entry])[key]
        except ValueError as error:
            raise InputError(f"--config {entry}: {error}") from None
        yaml_file.check_text(text, f"--config {key}")
        if key in values and not (isinstance(value, dict) and isinstance(values[key], dict)):
            raise InputError(f"--config {key}: is given twice; keep one")
        values[key] = value

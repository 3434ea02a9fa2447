"""The last words of a run: where its figures are, what became of its claims, what to read next."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descentflow.config.validate import Outputs
from descentflow.schema.model import parse
from descentflow.studies import claims_table


def summary(configuration: Mapping[str, Any]) -> str:
    """Return some lines about a run of a configuration; raises InputError for a broken table."""
    outputs = parse(Outputs, configuration.get("outputs", {}))
    table, page = (Path(outputs.results) / f"claims.{ending}" for ending in ("csv", "html"))
    claims = f"not judged, or {table} is elsewhere"
    if table.exists():
        claims = f"{claims_table.counted(claims_table.read(table))}; see {page}"
    studies = ", ".join(f"docs/{study}.md" for study in configuration.get("studies", {}))
    lines = [f"figures: {outputs.figures}/", f"claims: {claims}"]
    if Path("docs").is_dir():  # a folder made by `descentflow init` has no pages
        text = f"next: {studies} say what the figures show; make report puts all into one file"
        lines.append(text)
    return "\n".join(lines)

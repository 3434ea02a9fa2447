"""The page of all figures: a fence ``{all-figures}`` becomes each figure with what it was made from.

It is written when the site is built, so that the lines of code and configuration are those of today.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from sphinx.application import Sphinx

from descentflow.config.catalogue import STUDIES
from descentflow.config.study import ANY_NAME, Figure, Study

ROOT = Path(__file__).parents[2]
ANIMATIONS = ROOT / "results" / "animations"
"""Pages that `descentflow animate` wrote, if it did: they become part of the site."""
FENCE = "```{all-figures}\n```"


def setup(app: Sphinx) -> dict[str, Any]:
    """Fill the page as it is read, before links are rewritten."""
    app.connect("source-read", _fill, priority=400)
    app.connect("build-finished", _copy_animations)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(_app: Sphinx, _name: str, text: list[str]) -> None:
    if FENCE in text[0]:
        text[0] = text[0].replace(FENCE, "\n".join(_studies()))


def _copy_animations(app: Sphinx, error: Exception | None) -> None:
    if error is None and ANIMATIONS.is_dir():
        shutil.copytree(ANIMATIONS, Path(app.outdir) / "animations", dirs_exist_ok=True)


def _studies() -> Iterator[str]:
    for study in STUDIES.values():
        figures = {
            name: figure
            for name, figure in study.figures.items()
            if figure.experiment != ANY_NAME  # has no picture of its own
        }
        if figures:
            yield f"## {study.title}\n"
            yield (
                f"[The study]({study.name}.md), {study.paper}. Data of all its figures: "
                f"`results/datasets/{study.name}.nc` ([how to read it](how_to/dataset.md)).\n"
            )
            for page in sorted(ANIMATIONS.glob(f"{study.name}.*.html")):
                yield f'<p><a href="animations/{page.name}">{page.stem}: networks that move</a></p>\n'
            for name, figure in figures.items():
                yield from _figure(study, name, figure)


def _figure(study: Study, name: str, figure: Figure) -> Iterator[str]:
    yield f"### {figure.title}\n"
    yield f"![{figure.title}](gallery/{study.name}/{name}.png)\n"
    claims = ", ".join(f"`{claim}`" for claim in _claims(study.name, figure.experiment))
    yield (
        f"`figures/{study.name}/{name}.pdf`, `.svg` and `.png`, from the experiment "
        f"`{figure.experiment}`. {f'Claims about it: {claims} ([all](claims.md)).' if claims else ''}\n"
    )
    yield from _folded(
        "Its lines in config.yaml", "yaml", _configured(study.name, figure.experiment)
    )
    file, code = _function(study.name, name)
    yield from _folded(f"How it is drawn: {file.relative_to(ROOT)}", "python", code)


def _folded(title: str, language: str, text: str) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>\n\n```{language}\n{text}\n```\n\n</details>\n"


def _claims(study: str, experiment: str) -> list[str]:
    """Names of a study's claims whose column "where" begins with an experiment, from their page."""
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8").replace("&#95;", "_")
    section = page.partition(f"]({study}.md)")[2].partition("\n## ")[0]
    cells = re.findall(r"\(`(\w+)`\) \|.*\| ([\w, ]+)[:;].* \| [^|]*\|$", section, re.MULTILINE)
    return [name for name, where in cells if experiment in re.split(r",? ", where)]


def _configured(study: str, experiment: str) -> str:
    """The lines of an experiment as they are in config.yaml."""
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    node: Any = yaml.compose(text)
    for key in ("studies", study, experiment):
        (found,) = [(name, value) for name, value in node.value if name.value == key]
        node = found[1]
    lines = text.splitlines()[found[0].start_mark.line : node.end_mark.line]
    return "\n".join(line[4:] for line in lines).rstrip()


def _function(study: str, name: str) -> tuple[Path, str]:
    """File and source of the function that draws a figure."""
    for file in sorted((ROOT / "src/descentflow/studies" / study).glob("*figures.py")):
        source = file.read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return file, ast.get_source_segment(source, node) or ""
    raise LookupError(f"{study}: no function {name}")

"""Pages that live outside ``docs/``, and links as they are in the repository.

A page may say ``{include} ../README.md`` in a fence: the file's text takes its place. Links between
files of the repository become links between pages; one to a file that is no page becomes plain text,
and one to a file that does not exist is an error.
"""

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_INCLUDE = re.compile(r"^```\{include\} (\S+)\n```$", re.MULTILINE)
_LINK_OR_CODE = re.compile(
    r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]+)\)"
    r"|^```.*?^```$|`[^`\n]+`",
    re.MULTILINE | re.DOTALL,
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite every page as it is read."""
    app.connect("source-read", _rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _rewrite(app: Sphinx, name: str, text: list[str]) -> None:
    page = DOCS / f"{name}.md"
    pages = _pages(app)

    def included(found: re.Match[str]) -> str:
        origin = (page.parent / found[1]).resolve()
        app.env.note_dependency(str(origin))
        return _relinked(origin.read_text(encoding="utf-8"), origin, page, pages)

    if _INCLUDE.search(text[0]):
        text[0] = _INCLUDE.sub(included, text[0])
    else:
        text[0] = _relinked(text[0], page, page, pages)


def _pages(app: Sphinx) -> dict[Path, Path]:
    """Which page shows a file: itself, or the one that includes it."""
    found = {DOCS / f"{name}.md": DOCS / f"{name}.md" for name in app.project.docnames}
    for page in list(found):
        for target in _INCLUDE.findall(page.read_text(encoding="utf-8")):
            found[(page.parent / target).resolve()] = page
    return found


def _relinked(text: str, origin: Path, page: Path, pages: dict[Path, Path]) -> str:
    """The text of the file ``origin`` as ``page`` shows it."""
    return _LINK_OR_CODE.sub(lambda found: _link(found, origin, page, pages), text)


def _link(found: re.Match[str], origin: Path, page: Path, pages: dict[Path, Path]) -> str:
    image, text, target = found.group("image", "text", "target")
    path, mark, fragment = (target or "").partition("#")
    if not path or re.match(r"[a-z]+:", path):  # code, a place on this page, or the web
        return found[0]
    wanted = (origin.parent / path).resolve()
    if not wanted.exists():
        logging.getLogger(__name__).warning("%s: there is no %s", origin, path)
    if image:
        return f"![{text}]({os.path.relpath(wanted, page.parent)})"
    if wanted not in pages:
        return text
    return f"[{text}]({os.path.relpath(pages[wanted], page.parent)}{mark}{fragment})"

"""The claims as a page with filters and as a page of the documentation."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from shown_claims import CLAIMS, COUNTED, rows, write

from descentflow import cli
from descentflow.archive import content, manifest
from descentflow.errors import InputError
from descentflow.report import claims_html, claims_markdown
from descentflow.studies import claims_table

ROOT = Path(__file__).parents[3]


class Cells(HTMLParser):
    """Texts of the table's cells, row by row, and the classes of the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr" and "data-study" in dict(attrs):
            self.rows.append([])
            self.classes.append(str(dict(attrs)["class"]))
        elif tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_the_filtered_page_holds_every_claim_failing_ones_first() -> None:
    page = claims_html.page(rows())
    cells = Cells()
    cells.feed(page)
    assert cells.classes == ["fails", "small", "unknown", "holds", "holds", "holds"]
    first = cells.rows[0]
    assert first[:2] == ["FAILS", "<b>bold</b> | bartwo"]
    assert first[2:] == ["", "2", "3", "constant_targets, flow", "derivedarXiv:2102.09924"]
    assert f'<h1 class="fails">{COUNTED}</h1>' in page


def test_names_of_studies_are_escaped_and_foreign_ones_refused(tmp_path: Path) -> None:
    """The table may come from somebody else, as in an archive."""
    forged = [{**row, "study": row["study"].replace("blow_up", "<script>")} for row in rows()]
    assert '<option value="&lt;script&gt;">&lt;script&gt; (' in claims_html._form(forged)
    path = write(tmp_path / "claims.csv")
    path.write_text(path.read_text().replace("\nblow_up,", "\n<script>,"))
    with pytest.raises(InputError, match="claim three: no study but '<script>'"):
        claims_table.read(path)


def test_the_filtered_page_needs_nothing_else() -> None:
    page = claims_html.page(rows())
    assert not re.findall(r"""(?:src|url)\s*[=(]""", page)
    links = re.findall(r'href="([^"]*)"', page)
    papers = {link for link in links if not link.startswith("#")}
    assert papers == {f"https://arxiv.org/abs/{number}" for number in ("2102.09924", "2211.15641")}
    assert all(f'id="{link[1:]}"' in page for link in links if link.startswith("#"))
    assert "<b>bold" not in page


def test_the_page_of_the_documentation_holds_every_claim() -> None:
    page = claims_markdown.page(rows(), "0" * 64)
    lines = [line for line in page.splitlines() if line.startswith("| ") and "verdict" not in line]
    assert len(lines) == len(CLAIMS)
    assert lines[0].startswith("| ❌ **FAILS** | &#60;b&#62;bold&#60;/b&#62; &#124; bar (`two`) |")
    assert all(line.count(" | ") == 6 for line in lines)
    assert f"**{COUNTED}.**" in page
    assert "](constant_targets.md)" in page


def test_the_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, page = write(tmp_path / "claims.csv"), tmp_path / "docs" / "claims.md"
    monkeypatch.setattr(sys, "argv", ["descentflow", "claims-page", str(table), str(page)])
    cli.main()
    assert content.table_digest(table) in page.read_text(encoding="utf-8")
    table.write_text("nothing")
    with pytest.raises(SystemExit, match="error: "):
        cli.main()


def test_the_tracked_page_is_of_the_tracked_results() -> None:
    """Its table is the one whose digest the manifest tells, and all its claims are there."""
    path = ROOT / "docs" / "claims.md"
    told = manifest.read(ROOT / "figures" / "MANIFEST.json")["artefacts"]["claims.csv"]
    page = path.read_text(encoding="utf-8")
    fresh = f"digest {told['content']} " in page
    assert fresh, "docs/claims.md is of other results; `make gallery` writes it"
    names = re.findall(r"\(`(\w+)`\) \|", page)
    assert sorted(names) == sorted(name for _, name, _ in told["verdicts"])
    assert json.dumps(told["verdicts"]).count('"fails"') == page.count("❌")

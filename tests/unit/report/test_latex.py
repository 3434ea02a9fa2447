"""Numbers, tables and references for a LaTeX document; the example compiles."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import shown_claims
import yaml
from matplotlib.figure import Figure

import descentflow
from descentflow.config.catalogue import STUDIES
from descentflow.report import latex, references
from descentflow.studies import claims_table

ROOT = Path(__file__).parents[3]

ROUNDED = {
    (0.895, 0.045): "0.895(45)",
    (-1.134345986, 0.0771): "-1.134(77)",
    (1.554330743113221e-13, 0.0): "1.554e-13",
    (0.0012345678, 0.0): "0.001235",
    (3.2e-07, 4.4e-08): "3.20(44)e-7",
    (99.96, 0.4): "99.96(40)",
    (123456.0, 2345.0): "1.235(23)e5",
    (0.25, 0.0996): "0.25(10)",
    (1234.0, 130.0): "1.23(13)e3",
    (0.5, 0.0): "0.5",
    (9.99999, 0.0): "10.00",
    (288.0, 0.0): "288",
    (0.0, 0.0): "0",
    (0.5, float("inf")): "0.5",
}
"""By hand: two digits of the uncertainty, four of numbers without one, whole numbers as they are."""


@pytest.mark.parametrize(("numbers", "expected"), ROUNDED.items())
def test_numbers_are_rounded_to_their_uncertainty(
    numbers: tuple[float, float], expected: str
) -> None:
    assert latex.rounded(*numbers) == rf"\num{{{expected}}}"


def test_infinite_numbers_are_words() -> None:
    assert latex.rounded(float("-inf")) == r"$-\infty$"
    assert latex.rounded(float("nan")) == "undefined"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("|theta_0| <= 2^-1", r"$|\theta$$_{0}|$ $\le$ 2$^{-1}$"),
        ("max_k G^(H), leaky_relu", r"max$_{k}$ G$^{(H)}$, leaky\_relu"),
        (r"50% {a} \ a_b_c", r"50\% \{a\} \textbackslash{} a$_{b}$\_c"),
        ("über ∂", "über ∂"),
    ],
)
def test_texts_become_formulas_and_nothing_is_a_command(text: str, expected: str) -> None:
    assert latex.escaped(text) == expected


def test_every_claim_has_macros() -> None:
    rows = shown_claims.rows()
    text = latex.numbers(rows)
    entries = dict(re.findall(r"\\expandafter\\def\\csname (\S+)\\endcsname{(.*)}\n", text))
    assert entries.pop("measured@constant_targets.one") == r"\num{0.50(11)}"
    assert entries.pop("interval@constant_targets.one") == r"[\num{0.4}, \num{0.61}]"
    assert set(entries) == {f"verdict@{row['study']}.{row['id']}" for row in rows}
    assert entries["verdict@constant_targets.two"] == r"\textbf{fails}"


def test_every_study_has_a_table_of_its_claims() -> None:
    rows = shown_claims.rows()
    tables = latex.tables(rows).split(r"\expandafter")[1:]
    for (study, claims), table in zip(claims_table.by_study(rows).items(), tables, strict=True):
        assert table.startswith(rf"\def\csname claims@{study}\endcsname")
        lines = [line for line in table.splitlines() if line.count(" & ") == 3]
        assert len(lines) == len(claims) + 2, "the claims, and the head twice"


# ---- what to cite


def test_papers_of_all_studies_can_be_cited() -> None:
    papers = set(re.findall(r"arXiv:[\d.]+", " ".join(study.paper for study in STUDIES.values())))
    assert papers == set(re.findall(r"arXiv:[\d.]+", references.ENTRIES))


def test_the_citation_file_says_the_same() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    flat = " ".join(references.ENTRIES.split())
    assert f"version = {{{citation['version']}}}" in flat
    assert citation["version"] == descentflow.__version__
    for paper in citation["references"]:
        authors = (f"{who['family-names']}, {who['given-names']}" for who in paper["authors"])
        number = paper["url"].rpartition("/")[2]
        entry = f"title = {{{paper['title']}}}, author = {{{' and '.join(authors)}}}"
        assert re.search(
            re.escape(entry) + rf", year = {{\d+}}, howpublished = {{arXiv:{number}}}", flat
        )


def test_a_run_cites_the_papers_of_its_studies() -> None:
    entries = references.text_for(shown_claims.rows())
    assert entries.count("\n@") + 1 == 3
    assert all(name in entries for name in ("@misc{descentflow", "2102.09924", "2211.15641"))


# ---- the example

EXAMPLE = ROOT / "examples" / "paper.tex"


def test_the_example_uses_claims_of_the_studies_as_shipped() -> None:
    names = set(re.findall(r"\\(?:measured|interval|verdict){(\w+)\.(\w+)}", EXAMPLE.read_text()))
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert names
    assert all(f"`{name}`" in page for _, name in names)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX engine")
def test_the_example_compiles(tmp_path: Path) -> None:
    """With made-up numbers for the claims that it names, and any picture."""
    text = EXAMPLE.read_text()
    named = sorted(set(re.findall(r"{(\w+)\.(\w+)}", text)))
    row = shown_claims.rows()[0]
    rows = [{**row, "study": study, "id": name} for study, name in named]
    paper = tmp_path / "results" / "paper"
    paper.mkdir(parents=True)
    (paper / "numbers.tex").write_text(latex.numbers(rows))
    (paper / "claims.tex").write_text(latex.tables([*rows, *shown_claims.rows()]))
    (paper / "references.bib").write_text(references.ENTRIES)
    (figure,) = re.findall(r"\\includegraphics\[.*?\]{(.*?)}", text)
    picture = (tmp_path / figure).with_suffix(".png")
    picture.parent.mkdir(parents=True)
    Figure().savefig(picture)
    shutil.copyfile(EXAMPLE, tmp_path / "paper.tex")
    engine = ("pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex")
    for command in (engine, ("bibtex", "paper"), engine, engine):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "paper.log").read_text(encoding="latin-1")
    assert "undefined" not in log.split("LaTeX Warning: There were undefined")[0]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX engine")
def test_a_number_that_is_gone_stops_the_engine(tmp_path: Path) -> None:
    (tmp_path / "numbers.tex").write_text(latex.numbers(shown_claims.rows()))
    document = (
        r"\documentclass{article}\usepackage{siunitx}\input{numbers}"
        r"\begin{document}\measured{blow_up.gone}\end{document}"
    )
    (tmp_path / "a.tex").write_text(document)
    command = ("pdflatex", "-halt-on-error", "-interaction=nonstopmode", "a.tex")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "descentflow: no measured of blow_up.gone" in done.stdout.replace("\n", "")

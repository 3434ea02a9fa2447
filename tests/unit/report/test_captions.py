"""Captions of the report: one for every figure, whole, and of the configuration."""

import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from shown_claims import COUNTED, write

from descentflow.config import validate
from descentflow.config.catalogue import FOLDER, STUDIES
from descentflow.config.study import ANY_NAME
from descentflow.planning.jobs import Jobs
from descentflow.report.captions import CLAIMS, Captions

ROOT = Path(__file__).parents[3]
TEMPLATES = ROOT / "workflow" / "report"
FIGURES = [(study.name, figure) for study in STUDIES.values() for figure in study.figures]


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Captions:
    """The shipped configuration and a free experiment, with a made-up table of claims."""
    folder = tmp_path_factory.mktemp("results")
    mapping = validate.load(ROOT / "config.yaml") | {"outputs": {"results": str(folder)}}
    mapping["studies"]["explore"] = validate.load(ROOT / "config/smoke.yaml")["studies"]["explore"]
    write(folder / "claims.csv")
    return Captions(Jobs.from_mapping(mapping, "lock"), mapping)


def experiment_of(study: str, figure: str) -> str:
    """The experiment that a figure is drawn from."""
    return STUDIES[study].figures[figure].experiment.replace(ANY_NAME, "corner")


def rendered(template: Path, captions: Captions, target: str = "claims.html") -> str:
    """The caption's HTML; anything that docutils would complain about fails."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    snakemake = SimpleNamespace(config={"captions": captions})
    record = SimpleNamespace(
        target=target,
        path=Path("results") / target,
        job=SimpleNamespace(
            rule=SimpleNamespace(module_globals={"config": {"captions": captions}})
        ),
    )
    foreign = SimpleNamespace(rule=SimpleNamespace(module_globals={"config": {}}))
    files = [SimpleNamespace(target="theirs.html", path=Path("theirs.html"), job=foreign), record]
    text = environment.from_string(template.read_text(encoding="utf-8")).render(
        snakemake=snakemake, files=files if target else files[:1]
    )
    parts = publish_parts(text, writer="html", settings_overrides={"halt_level": 2})
    return str(parts["html_body"])


def test_the_first_page_needs_no_file_that_an_outer_workflow_leaves_out(captions: Captions) -> None:
    """The page of claims, or all of ours."""
    first = TEMPLATES / "workflow.rst"
    whole, without, nothing = (
        rendered(first, captions, name) for name in ("claims.html", "a.svg", "")
    )
    assert "Open the table of claims" in whole
    assert "statements hold" in without
    assert "Open the table of claims" not in without
    assert "statements hold" not in nothing


@pytest.mark.parametrize(("study", "figure"), FIGURES)
def test_every_figure_has_a_caption_that_tells_all(
    captions: Captions, study: str, figure: str
) -> None:
    html = rendered(Path(captions.template(study, figure)), captions)
    assert "Theory." in html
    assert re.search(r"\((paper|derived|computed|predicted here)", html)
    experiment = experiment_of(study, figure)
    assert experiment in html
    for made_of in (
        f"datasets/{study}.nc",
        f"studies.{study}.figures",
        f"studies.{study}.{experiment}",
    ):
        assert made_of in html
    for words in ("networks", "H = "):
        assert words in html
    nothing_drawn = {"depth", "critical_networks", "least_critical_risks"}
    if figure not in nothing_drawn:
        assert "initialisations each" in html
    assert re.search(r"gradient flow to t =|steps of .* with|not trained|infinite width", html)
    assert "{{" not in html


def test_captions_name_experiments_of_their_study() -> None:
    """A misspelt one would vanish silently, as one that is not configured does."""
    for study, figure in FIGURES:
        text = (FOLDER / study / "captions" / f"{figure}.rst").read_text(encoding="utf-8")
        (call,) = re.findall(r"captions\.setting_and_claims\(([^)]*)\)", text)
        named, *experiments = re.findall(r'"(\w+)"', call)
        assert named == study
        if study != "explore":  # which names all of its experiments
            assert STUDIES[study].figures[figure].experiment in experiments
        assert set(experiments) <= set(STUDIES[study].experiments)


def test_no_caption_without_a_figure() -> None:
    found = {(path.parents[1].name, path.stem) for path in FOLDER.glob("*/captions/*")}
    assert found == set(FIGURES)


def test_a_failing_claim_is_told_on_the_first_page_and_with_its_study(captions: Captions) -> None:
    first = rendered(TEMPLATES / "workflow.rst", captions)
    for text in (first, rendered(TEMPLATES / "claims.rst", captions)):
        assert COUNTED in text
        assert "&lt;b&gt;bold&lt;/b&gt; | bar; measured: 3; must be: 2" in text
    study = rendered(Path(captions.template("constant_targets", "flow")), captions)
    assert "1 of 2 statements hold, 1 FAILS" in study
    assert "seed: 20210209" in first
    for known in STUDIES.values():
        assert known.paper in first


def test_experiments_that_are_not_configured_are_left_out(captions: Captions) -> None:
    text = captions.setting("gradient_flows", "saddles", "no_such_experiment")
    assert text.startswith("* ``saddles``: f(x) = x")
    assert len(text.splitlines()) == 1


def test_labels_make_no_switches(captions: Captions) -> None:
    """Snakemake hides half of a list behind a switch where one label alone halves it."""
    files = [f"{experiment_of(study, figure)}/{figure}.svg" for study, figure in FIGURES]
    labels = [captions.labels(study, file) for (study, _), file in zip(FIGURES, files, strict=True)]
    assert len({label["figure"] for label in labels}) == len(FIGURES)
    for one, other in itertools.combinations(labels, 2):
        assert (one["training"] == other["training"]) == (one["rule"] == other["rule"])


def test_names_of_figures_and_categories(captions: Captions) -> None:
    categories = [captions.category(study) for study in STUDIES]
    assert sorted([CLAIMS, *categories], key=str.lower)[0] == CLAIMS

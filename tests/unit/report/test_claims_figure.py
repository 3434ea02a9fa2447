"""The picture of the claims: all statements, and a failing one at least as loud as the others."""

from pathlib import Path

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text
from shown_claims import COUNTED, rows, write

from descentflow.errors import InputError
from descentflow.report.claims_figure import COLORS, TINTS, claims
from descentflow.stages.show_claims import STAGE
from descentflow.studies import style
from descentflow.studies.claim import FAILS, HOLDS, NOT_MEASURED, TOO_SMALL
from descentflow.studies.claims_table import WORDS, Row

JOB = {"spec": {"studies": ["constant_targets", "blow_up"]}}


def texts(figure: Figure) -> list[Text]:
    return list(figure.axes[0].texts)


def shown(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts(figure)]


def draw(found: list[Row]) -> Figure:
    with style.paper():
        figure = claims(found)
        figure.draw_without_rendering()
    return figure


def test_every_statement_has_a_badge_with_its_verdict() -> None:
    figure = draw(rows())
    found = shown(figure)
    for part in ("V ≤ 1 (1.1)", "<b>bold</b> | bar", "γ² > 0", "self-check: risk to 0"):
        assert part in found
    assert [found.count(word) for word in WORDS.values()] == [3, 1, 1, 1]
    badges = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    colors = sorted(to_hex(badge.get_facecolor()) for badge in badges)
    assert colors == sorted(
        [COLORS[HOLDS]] * 3 + [COLORS[FAILS], COLORS[TOO_SMALL], COLORS[NOT_MEASURED]]
    )
    assert len({(badge.get_width(), badge.get_height()) for badge in badges}) == 1


def test_a_failing_claim_is_first_and_marked_and_explained() -> None:
    figure = draw(rows())
    found = shown(figure)
    assert found.index("<b>bold</b> | bar") < found.index("V ≤ 1 (1.1)")
    for part in ("measured: 3", "must be: 2", "where: two; flow"):
        assert part in found
    tints = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert {to_hex(tint.get_facecolor()) for tint in tints} == set(TINTS.values())
    headline = texts(figure)[0]
    assert headline.get_text() == COUNTED
    assert headline.get_color() == COLORS[FAILS]
    assert texts(draw(rows()[:1]))[0].get_color() == COLORS[HOLDS]


def test_nothing_is_cut_off() -> None:
    """Long statements are wrapped, and every text lies inside the picture."""
    figure = draw([row for row in rows() for _ in range(20)])
    width, height = figure.get_size_inches() * figure.dpi
    for text in texts(figure):
        box = text.get_window_extent()
        assert box.x0 >= 0.0
        assert box.x1 <= width
        assert box.y0 >= 0.0
        assert box.y1 <= height


def test_no_claim_at_all() -> None:
    """Experiments may allow none."""
    assert shown(draw([])) == ["0 of 0 statements hold"]


def test_a_study_over_two_columns_has_two_titles() -> None:
    found = shown(draw([row for row in rows()[3:] for _ in range(20)]))
    titles = [text for text in found if text.startswith("Gradient flows that diverge")]
    assert len(titles) == 2
    assert titles[1].endswith("(continued)")


def test_the_stage_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    """Pictures, page, LaTeX; nothing in another format."""
    table = write(tmp_path / "claims.csv")
    names = ("claims.svg", "claims.pdf", "claims.html", "numbers.tex", "references.bib")
    outputs = [tmp_path / name for name in names]
    STAGE.run(JOB, [table], outputs)
    first = [path.read_bytes() for path in outputs]
    STAGE.run(JOB, [table], outputs)
    assert [path.read_bytes() for path in outputs] == first
    with pytest.raises(
        InputError, match=r"bmp: the claims can be written as pdf, svg, png, claims"
    ):
        STAGE.run(JOB, [table], [tmp_path / "claims.bmp"])

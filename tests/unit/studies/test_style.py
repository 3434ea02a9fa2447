"""Theme, files and shared panels of the figures."""

import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from descentflow.config.figure_look import FigureLook
from descentflow.errors import InputError
from descentflow.studies import style, tex


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_bytes_do_not_depend_on_other_formats(kind: str, tmp_path: Path) -> None:
    """Alone and as the last of four; parts of it are pixels, as in heat maps."""
    found = []
    for kinds in ([kind], ["png", "pdf", "svg", kind]):
        with style.paper():
            figure, (panel,) = style.new(2.0, 1.5)
            panel.imshow(np.arange(6.0).reshape(2, 3), aspect="auto")
            paths = [tmp_path / f"{len(kinds)}-{n}.{each}" for n, each in enumerate(kinds)]
            style.save(figure, paths)
        found.append(paths[-1].read_bytes())
    assert found[0] == found[1]


DRAW = """
import sys
if sys.argv[2] == "changed":
    import matplotlib as mpl, numpy as np, seaborn as sns
    np.random.seed(7)
    sns.set_theme(context="poster", style="dark", palette="husl", color_codes=True)
    sns.stripplot({"a": [1.0, 2.0]})
    mpl.rcParams["svg.hashsalt"] = "other"
from pathlib import Path
import numpy as np
from descentflow.config.figure_look import FigureLook
from descentflow.errors import InputError
from descentflow.studies import style, tex
with style.paper():
    figure, panels = style.new(4.0, 2.0, columns=2)
    x = np.linspace(0.0, 1.0, 5)
    quantiles = np.array([x, x + 0.5, x + 1.0])
    style.quantile_curves(panels[0], [("a", x, quantiles), ("a", x, -quantiles)], ["C0", "C1"])
    style.strips(panels[1], [x, x[:3]], ["1", "1"], style.palette(2))
    style.legend_above(figure, panels[0], 2, "title")
    style.save(figure, [Path(sys.argv[1] + "." + kind) for kind in ("pdf", "svg", "png")])
"""


def test_bytes_do_not_depend_on_the_process_or_its_settings(tmp_path: Path) -> None:
    """Two interpreters, one of which used seaborn in another theme and its random numbers."""
    for name in ("plain", "changed"):
        subprocess.run([sys.executable, "-c", DRAW, str(tmp_path / name), name], check=True)
    for kind in ("pdf", "svg", "png"):
        first, second = (tmp_path / f"{name}.{kind}" for name in ("plain", "changed"))
        assert first.read_bytes() == second.read_bytes()


def test_settings_are_restored() -> None:
    before = {key: value for key, value in mpl.rcParams.items() if key != "backend"}
    with style.paper():
        assert mpl.rcParams["svg.hashsalt"] == "descentflow"
    assert {key: value for key, value in mpl.rcParams.items() if key != "backend"} == before


def test_strips_spread_points_inside_their_own_column() -> None:
    """Heights stay as they are, breadths are even, symmetric and less than one."""
    values = [np.array([3.0, 1.0, 2.0, 5.0]), np.array([4.0])]
    with style.paper():
        _, (panel,) = style.new(2.0, 1.5)
        style.strips(panel, values, ["same", "same"], style.palette(2))
    for index, (points, heights) in enumerate(zip(panel.collections, values, strict=True)):
        x, y = np.asarray(points.get_offsets()).T
        assert y.tolist() == heights.tolist()
        assert np.abs(x - index).max() < 0.5
        assert abs((x - index).sum()) < 1e-12
        assert np.ptp(np.diff(x)) < 1e-12 if len(x) > 1 else x == [index]


def test_heat_maps_are_labelled_at_powers_of_ten() -> None:
    """Cells from 0.5 to 2000, four a decade: 1 lies at cell 4·log10(2)."""
    x = 0.5 * 10.0 ** (np.arange(15) / 4)
    with style.paper():
        _, (panel,) = style.new(2.0, 1.5)
        style.log_ticks(panel, x, np.array([1.0, 10.0, 100.0]))
    expected = 4 * np.log10(np.array([1.0, 10.0, 100.0, 1000.0]) / 0.5)
    np.testing.assert_allclose(panel.get_xticks(), expected, rtol=1e-13)
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert labels == [f"$10^{{{power}}}$" for power in range(4)]
    np.testing.assert_allclose(panel.get_yticks(), [0.0, 1.0, 2.0], atol=1e-13)


def test_heat_maps_within_a_decade_are_labelled_at_multiples() -> None:
    with style.paper():
        _, (panel,) = style.new(2.0, 1.5)
        style.log_ticks(panel, np.array([0.02, 0.08]), np.array([1.0, 10.0]))
    assert [label.get_text() for label in panel.get_xticklabels()] == [
        *("0.02", "0.03", "0.04", "0.05", "0.06", "0.07", "0.08"),
    ]


def test_facets_leave_no_open_figure() -> None:
    table = pd.DataFrame({"time": [1.0, 2.0] * 2, "value": [3.0, 4.0] * 2, "kind": [*"aabb"]})
    with style.paper():
        grid = style.Facets(table, (4.0, 2.0), col="kind")
        grid.curves()
    assert not plt.get_fignums()
    assert [panel.get_title() for panel in grid.axes.flat] == ["a", "b"]
    assert grid.figure.get_size_inches().tolist() == [4.0, 2.0]


# ---- fonts of a document

FIGURE = "50% of a_b & {c}, 'x^2 > 1', $\\gamma_n$"
LATEX = FigureLook(usetex=True, preamble=r"\usepackage[T1]{fontenc}\usepackage{lmodern}")
NEEDED = ("type1cm.sty", "type1ec.sty", "lmodern.sty")


def lacks_latex() -> bool:
    """Whether LaTeX, or what matplotlib and LATEX load, is not installed (.ci/tex installs it)."""
    if None in (shutil.which(name) for name in ("latex", "dvipng", "kpsewhich")):
        return True
    return subprocess.run(["kpsewhich", *NEEDED], capture_output=True, check=False).returncode != 0


has_latex = pytest.mark.skipif(lacks_latex(), reason="there is no LaTeX, or not all of it")


def draw(look: FigureLook, path: Path) -> bytes:
    with style.paper(look):
        figure, (panel,) = style.new(2.0, 1.5)
        panel.set(title=FIGURE, xscale="log", xlim=(1e-3, 1e3))
        panel.set_yticks([0.0, 1.0], ["no_1", "50%"])
        style.save(figure, [path])
    return path.read_bytes()


def test_a_font_is_in_the_file(tmp_path: Path) -> None:
    data = draw(FigureLook(font="STIXGeneral"), tmp_path / "a.pdf")
    assert b"STIXGeneral" in data
    assert b"DejaVu" not in data


def test_a_font_that_is_not_there_is_told() -> None:
    message = (
        r"figures\.font: no font DejaVu Serf on this machine \(did you mean 'DejaVu Serif'\?\)"
    )
    with pytest.raises(InputError, match=message), style.paper(FigureLook(font="DejaVu Serf")):
        pass


def test_signs_outside_of_formulas_are_escaped() -> None:
    escaped = tex.escaped(FIGURE)
    assert escaped == (
        r"50\% of a\_b \& \{c\}, 'x\textasciicircum{}2 $>$ 1', $\gamma_n$"
    )  # fmt: skip
    assert tex.escaped(r"5\$ and θ") == r"5\$ and $\theta$"


@has_latex
def test_latex_sets_all_text(tmp_path: Path) -> None:
    """With equal bytes, but in a PDF, where matplotlib 3.11 names subsets of fonts at random."""
    drawn = draw(LATEX, tmp_path / "a.pdf")
    assert b"LMRoman" in drawn
    assert b"DejaVu" not in drawn
    for kind in ("png", "svg"):
        assert draw(LATEX, tmp_path / f"a.{kind}") == draw(LATEX, tmp_path / f"b.{kind}")


@has_latex
def test_what_latex_refuses_is_told(tmp_path: Path) -> None:
    look = FigureLook(usetex=True, preamble=r"\usepackage{nosuchpackage}")
    with pytest.raises(InputError, match=r"figures\.usetex: .*nosuchpackage\.sty' not found"):
        draw(look, tmp_path / "a.pdf")
    assert not list(tmp_path.iterdir())


def test_latex_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="needs latex and dvipng"), style.paper(LATEX):
        pass

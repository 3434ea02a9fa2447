"""The page on which networks move: what it holds, and that it moves in a browser."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import descentflow as df
from descentflow.errors import InputError
from descentflow.report import moving_page

CORNER = df.PiecewiseLinear(knots=[0, 0.5, 1], values=[0.5, 0, 0.5])
PROBLEM = df.Problem(inputs=df.Uniform(0, 1), target=CORNER, network=df.Network(3))
STARTS = np.random.default_rng(1).standard_normal((40, PROBLEM.parameter_count))
AT = [0, 1, 5, 20, 100, 400]


@pytest.fixture(scope="module")
def run() -> Any:
    return df.descend(PROBLEM, STARTS, step_size=0.05, steps=400, save_at=AT)


def test_runs_are_spread_over_their_ends(run: Any) -> None:
    numbers = moving_page._chosen(run)
    final = run["risk"].values[:, -1]
    assert len(set(numbers)) == moving_page.MAX_RUNS
    assert final[numbers].tolist() == sorted(final[numbers])
    assert final[numbers[0]] == final.min()
    assert final[numbers[-1]] == final.max()


def test_numbers_are_those_of_the_run(run: Any) -> None:
    moving = moving_page._moving(PROBLEM, run, "step", [7, 3])
    assert moving.at.tolist() == AT
    for row, number in enumerate((7, 3)):
        recorded = run["risk"].sel(step=AT).values[number]
        assert moving.risks[row].tolist() == recorded.tolist()
        for column in range(len(AT)):
            theta = run["snapshots"].values[number, column]
            np.testing.assert_array_equal(
                moving.values[row, column], PROBLEM.realization(theta, moving.grid)
            )
            places, heights = moving.places[row, column], moving.heights[row, column]
            inside = np.isfinite(places) & (places >= 0) & (places <= 1)
            assert np.isnan(heights[~inside]).all()
            np.testing.assert_array_equal(
                heights[inside], PROBLEM.realization(theta, places[inside])
            )
            expected = np.linalg.eigvalsh(PROBLEM.hessian(theta))[::-1]
            np.testing.assert_allclose(
                moving.eigenvalues[row, column], expected, atol=1e-12 * expected[0]
            )


@pytest.mark.parametrize(
    ("network", "inputs", "target"),
    [
        (df.Network([3, 2]), df.Uniform(0, 1), CORNER),
        (df.Network(2, "tanh"), df.Uniform(0, 1), df.Affine(1)),
        (df.Network(2), df.Points(points=[[0.0], [0.5], [1.0]]), df.Affine(1)),
    ],
    ids=["deep", "smooth", "points"],
)
def test_every_kind_of_problem_has_a_page(
    network: Any, inputs: Any, target: Any, tmp_path: Path
) -> None:
    problem = df.Problem(inputs=inputs, target=target, network=network)
    starts = np.random.default_rng(2).standard_normal((2, problem.parameter_count))
    run = df.descend(problem, starts, step_size=0.01, steps=10, save_at=[0, 10])
    df.animate(problem, run, tmp_path / "a.html", "a <b>")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "a &lt;b&gt;" in text
    assert len(text) < 3e6


def test_runs_that_diverge_come_last(tmp_path: Path) -> None:
    run = df.descend(PROBLEM, STARTS[:4], step_size=[0.05, 0.05, 50.0, 0.05], steps=400, save_at=AT)
    assert moving_page._chosen(run)[-1] == 2
    df.animate(PROBLEM, run, tmp_path / "a.html")


def test_what_cannot_move_is_told(run: Any) -> None:
    with pytest.raises(InputError, match="snapshots: none in this run"):
        df.animate(PROBLEM, run.drop_vars("snapshots"), "a.html")
    square = df.Problem(
        inputs=df.Uniform(0, 1, dimension=2, rule="tensor", nodes=2),
        target=df.Constant(1),
        network=df.Network(2),
    )
    with pytest.raises(InputError, match="one input and one output"):
        df.animate(square, run, "a.html")


# ---- in a browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SLIDE = """([kind, value]) => {
  for (const model of Bokeh.documents[0]._all_models.values())
    if (model.type == kind) model.value = value;
}"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("size", [(1400, 1000), (400, 800)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_moves_and_asks_for_nothing(
    run: Any, tmp_path: Path, size: tuple[int, int], scheme: Any
) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    page = tmp_path / "a.html"
    df.animate(PROBLEM, run, page)
    said: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, offline=True, color_scheme=scheme)
        window = context.new_page()
        window.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        window.on("pageerror", lambda error: said.append(str(error)))
        window.on("request", lambda request: said.append(request.url))
        window.goto(page.as_uri())
        numbers = moving_page._chosen(run)
        risks = run["risk"].sel(step=AT).values
        for index, time in ((0, 0), (5, 3), (15, 5)):
            window.evaluate(SLIDE, ["Select", str(index)])
            window.evaluate(SLIDE, ["Slider", time])
            risk = f"{risks[numbers[index], time]:.3e}".replace("e-0", "e-").replace("e+0", "e+")
            window.get_by_text(f"step {AT[time]}, risk {risk}").wait_for(timeout=10_000)
        wide = window.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert wide <= size[0]
    assert [text for text in said if not text.startswith(("file:", "data:", "blob:"))] == []

"""The report in a browser without a network: figures, captions, claims, at two widths."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from checkout import Checkout

from descentflow.config.catalogue import STUDIES
from descentflow.report.captions import CLAIMS
from descentflow.studies import claims_table

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
DRAWN = {
    "constant_targets": ("risk_and_lyapunov", "step_size_phases"),
    "random_initializations": tuple(STUDIES["random_initializations"].figures),
}
SMALLEST_TEXT = 12.0  # pixels

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (.ci/browser installs Debian's)"
)


@dataclass
class Opened:
    """The report in a browser's window, and what the browser had to say."""

    page: "playwright.Page"
    complaints: list[str] = field(default_factory=list)

    def menu(self, name: str) -> None:
        """Go home and choose an entry of the menu."""
        self.page.locator("#app nav ol a").first.click()
        self.page.locator("#app nav li a", has_text=re.compile(f"^{name}$")).click()

    def row(self, name: str) -> "playwright.Locator":
        """The row of a result in the list that is open."""
        return self.page.locator("#app nav tbody tr").filter(
            has=self.page.get_by_role("cell", name=name, exact=True)
        )


@pytest.fixture(scope="module")
def report(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the tiny configuration, written where nothing can be downloaded."""
    checkout = finished.copy(tmp_path_factory.mktemp("report") / "checkout")
    nowhere = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    ended = checkout.snakemake("--report", "report.html", **nowhere)
    assert ended.code == 0, ended.text
    assert "WARNING" not in ended.text, ended.text
    return checkout.root / "report.html"


@contextmanager
def opened(report: Path, size: str) -> Iterator[Opened]:
    """The report from disk, offline; in the end nobody may have complained or asked for more."""
    width, height = SIZES[size]
    phone = {"is_mobile": True, "has_touch": True} if size == "phone" else {}
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": width, "height": height}, offline=True, **phone
        )
        found = Opened(context.new_page())
        said = found.complaints
        found.page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
        found.page.on("pageerror", lambda error: said.append(str(error)))
        found.page.on("request", lambda request: _local(request.url, said))
        found.page.goto(report.as_uri())
        found.page.wait_for_selector("#rulegraph canvas")
        yield found
        browser.close()
    assert said == []


def _local(url: str, said: list[str]) -> None:
    if not url.startswith(("file:", "data:", "blob:")):
        said.append(f"asked for {url}")


def fits(locator: "playwright.Locator", size: str) -> None:
    """Shown, and no wider than the window."""
    box = locator.bounding_box()
    assert box is not None
    assert box["width"] > 0.4 * min(SIZES[size][0], 600)
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= SIZES[size][0] + 1


@pytest.mark.parametrize("size", SIZES)
def test_figures_captions_and_claims_at_every_width(report: Path, size: str) -> None:
    rows = claims_table.read(report.parent / "results/claims.csv")
    with opened(report, size) as window:
        the_first_page(window, claims_table.counted(rows))
        for study, figures in DRAWN.items():
            window.menu(study.replace("_", " ").capitalize())
            titles = [STUDIES[study].figures[figure].title for figure in figures]
            for title in titles:
                a_figure(window, title, size)
            a_caption(window, titles[0], size)
        the_claims(window, rows, size)
        window.menu("Statistics")
        window.page.wait_for_selector("#runtimes canvas")
        a_search(window)


def the_first_page(window: Opened, tally: str) -> None:
    """How many claims hold, every category, the configuration."""
    first = window.page.locator(".prose").first
    assert tally in first.inner_text()
    menu = window.page.locator("#app nav").first.inner_text()
    categories = [CLAIMS, *(study.replace("_", " ").capitalize() for study in DRAWN)]
    assert all(name in menu for name in categories)
    assert menu.index(CLAIMS) < min(menu.index(name) for name in categories[1:])
    first.locator("summary").click()
    # With the configuration open the page is longer than any window: its title can be reached.
    title = first.locator("h1.title")
    title.scroll_into_view_if_needed()
    box = title.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert "steps: 20000" in first.locator("#configuration pre").inner_text()


def a_figure(window: Opened, title: str, size: str) -> None:
    window.row(title).locator("a").first.click()
    image = window.page.locator(".grow img")
    image.wait_for()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    fits(image, size)


def a_caption(window: Opened, title: str, size: str) -> None:
    """What theory predicts and the setting, in letters that can be read."""
    window.row(title).locator("a").nth(1).click()
    caption = window.page.locator("#app nav .prose")
    text = caption.inner_text()
    assert "Theory." in text
    assert "12 initialisations each" in text
    assert "statements hold" in text
    fits(caption, size)
    pixels = caption.evaluate("text => parseFloat(getComputedStyle(text).fontSize)")
    assert pixels >= SMALLEST_TEXT


def the_claims(window: Opened, rows: list[claims_table.Row], size: str) -> None:
    """Opened from the first page; words, studies and verdicts filter them."""
    window.menu("Workflow")
    window.page.get_by_text("Open the table of claims").click()
    fits(window.page.locator("iframe"), size)
    frame = window.page.frame_locator("iframe")
    shown = frame.locator("tbody tr:visible")
    playwright.expect(shown).to_have_count(len(rows))
    words = frame.get_by_placeholder("words to look for")
    words.fill("hessian RANK")
    playwright.expect(shown).to_have_count(1)
    assert "hessian_rank" in shown.inner_text()
    words.fill("")
    frame.get_by_label("study").select_option("constant_targets")
    of_study = [row for row in rows if row["study"] == "constant_targets"]
    playwright.expect(shown).to_have_count(len(of_study))
    frame.get_by_label("holds", exact=True).uncheck()
    others = [row for row in of_study if row["verdict"] != claims_table.HOLDS]
    playwright.expect(shown).to_have_count(len(others))
    frame.get_by_label("holds", exact=True).check()
    badge = shown.first.locator(".badge")
    assert badge.evaluate("badge => parseFloat(getComputedStyle(badge).fontSize)") >= SMALLEST_TEXT
    overflow = frame.locator("body").evaluate("body => body.scrollWidth - body.clientWidth")
    assert overflow <= 0


def a_search(window: Opened) -> None:
    """Of two results too: labels must make no switch that leaves one of them out."""
    for term, count in (
        ("re:/(rates|risk_curves|final_risks|success)", 4),
        ("re:risk_and|spectra", 2),
    ):
        window.menu("About")
        window.page.locator("#app nav ol a").first.click()
        box = window.page.get_by_placeholder("Search...")
        box.fill(term)
        box.press("Enter")
        found = window.page.locator("#app nav tbody tr")
        playwright.expect(found).to_have_count(count)

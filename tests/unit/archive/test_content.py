"""What counts as content, and what is only its encoding."""

import io
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
import small_results as small
import xarray as xr
from PIL import Image

from descentflow.archive import content
from descentflow.errors import DamagedFile


@pytest.fixture(params=["png", "pdf", "svg"])
def figure(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A figure in each format."""
    path = tmp_path / f"a.{request.param}"
    small.picture(path)
    return path


def test_another_drawing_is_another_content(figure: Path) -> None:
    before = content.figure_digest(figure)
    small.picture(figure, width=2.0)
    assert content.figure_digest(figure) != before


def test_compression_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    small.picture(path)
    before, data = content.figure_digest(path), path.read_bytes()
    Image.open(io.BytesIO(data)).save(path, compress_level=1)
    assert path.read_bytes() != data
    assert content.figure_digest(path) == before
    path = tmp_path / "a.pdf"
    small.picture(path)
    before, data = content.figure_digest(path), path.read_bytes()
    path.write_bytes(recompressed(data))
    assert path.read_bytes() != data
    assert content.figure_digest(path) == before


def recompressed(pdf: bytes) -> bytes:
    """The PDF as a faster deflater would have written it."""

    def again(match: re.Match[bytes]) -> bytes:
        try:
            return b"stream\n" + zlib.compress(zlib.decompress(match[1]), 1) + b"\nendstream"
        except zlib.error:
            return match[0]

    streams = re.sub(rb"stream\r?\n(.*?)\r?\nendstream", again, pdf, flags=re.DOTALL)
    return re.sub(rb"(?m)^(\d{10}) 00000 n", rb"0000000001 00000 n", streams)


def test_metadata_of_an_svg_is_no_content(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    small.picture(path)
    before = content.figure_digest(path)
    path.write_text(path.read_text().replace("image/svg+xml</dc:format>", "x</dc:format>"))
    assert content.figure_digest(path) == before


def test_broken_figures_are_named(figure: Path) -> None:
    data = figure.read_bytes()
    for broken in (b"", data[: len(data) // 2], b"x" * 100):
        figure.write_bytes(broken)
        with pytest.raises(DamagedFile, match=figure.name):
            content.figure_digest(figure)
    figure.unlink()
    with pytest.raises(DamagedFile, match="cannot be read"):
        content.figure_digest(figure)


def test_rows_are_the_content_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    small.claims(path)
    before = content.table_digest(path)
    small.claims(path, ending="\r\n")
    assert content.table_digest(path) == before
    small.claims(path, text="0.2")
    assert content.table_digest(path) != before
    assert content.verdicts(path) == [["random_initializations", "a_claim", "holds"]]
    for broken in (b"", b"a,b\n1,2\n", b"study,id,holds\nx\n", b"\xff\xfe"):
        path.write_bytes(broken)
        with pytest.raises(DamagedFile, match=r"claims\.csv"):
            content.verdicts(path)


def test_fingerprints_survive_large_and_odd_values() -> None:
    values = np.array([1e300, -1e300, np.nan, np.inf, 0.0, 1e-300])
    data = {"v": ("x", values), "t": ("x", list("abcdef")), "e": ("y", [])}
    found = content.fingerprint(xr.Dataset(data))
    assert found["v"]["count"] == 6
    assert (found["v"]["nan"], found["v"]["finite"]) == (1, 4)
    assert found["v"]["rms"] == pytest.approx(1e300 / np.sqrt(2))
    assert found["v"]["mean"] == pytest.approx(2.5e-301)
    assert (found["v"]["min"], found["v"]["max"]) == (-1e300, 1e300)
    assert "mean" not in found["e"]
    tiny = content.fingerprint(xr.Dataset({"v": ("x", [1e-320, 0.0])}))["v"]
    assert tiny["max"] == 1e-320


def test_recorded_bits_of_chosen_runs() -> None:
    before = content.recorded_digest(small.dataset("aa"), {"aa"})
    assert before == content.recorded_digest(small.dataset("aa", measured=1.0), {"aa", "bb"})
    assert before != content.recorded_digest(small.dataset("aa", noise=2e-16 * 2), {"aa"})
    assert content.recorded_digest(small.dataset("aa"), {"bb"}) is None
    assert content.recorded_digest(small.dataset("aa").drop_vars("run_id"), {"aa"}) is None

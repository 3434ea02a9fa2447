"""Every command and code block of the README and the documentation runs, at tiny sizes.

``config.yaml`` and ``config/smoke.yaml`` are the tiny configuration here, whose results exist already.
What runs otherwise says so in a comment before the block (:mod:`pages`).
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import yaml
from checkout import KERNELS, REPOSITORY, TINY, Checkout

from descentflow.config import validate

PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in (
        *(REPOSITORY / "docs").rglob("*.md"),
        *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")),
        *(REPOSITORY / folder / "README.md" for folder in ("config", "benchmarks")),
    )
)
PARTS = (
    *(
        "Makefile",
        "pyproject.toml",
        "CITATION.cff",
        "LICENSE",
        "envs/build.lock",
        "envs/develop.lock",
        "envs/report.lock",
    ),
    *("config", "docs", "benchmarks"),
)


def page(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def runs(name: str) -> bool:
    return any(pages.steps(block) for block in pages.blocks(page(name)))


def clone(finished: Checkout, folder: Path) -> None:
    """What a clone with finished results has, its interpreter where ``make env`` puts it."""
    finished.copy(folder)
    for part in PARTS:
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copy2
        copy(REPOSITORY / part, folder / part)
    for name in ("config.yaml", "config/smoke.yaml"):
        shutil.copy2(TINY, folder / name)
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    for stamp in ("run.stamp", "develop.stamp"):
        (folder / ".venv" / stamp).touch()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PAGES if runs(name)])
def test_blocks_run(finished: Checkout, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "descentflow"
    clone(finished, folder)
    remarks = [remark for block in pages.blocks(page(name)) for remark in block.remarks]
    commands = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(finished.source),
        "NUMBA_CACHE_DIR": str(KERNELS),
        "MPLBACKEND": "Agg",
    }
    todo = tmp_path / "todo.json"
    todo.write_text(pages.as_json(name, page(name), finished.source, commands))
    ended = subprocess.run(
        [sys.executable, Path(pages.__file__), todo],
        cwd=tmp_path if pages.BESIDE in remarks else folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize("name", [name for name in PAGES if runs(name)])
def test_blocks_are_understood(name: str) -> None:
    """Every remark is one that the test knows, every block of Python compiles."""
    for step in (step for block in pages.blocks(page(name)) for step in pages.steps(block)):
        if step.kind == "python":
            compile(step.text, name, "exec")


@pytest.mark.parametrize("name", PAGES)
def test_yaml_is_read_and_whole_configurations_are_valid(tmp_path: Path, name: str) -> None:
    for block in pages.blocks(page(name)):
        if block.language != "yaml":
            continue
        found = yaml.safe_load(block.text)
        found = found.get("descentflow", found) if isinstance(found, dict) else found
        if isinstance(found, dict) and {"seed", "studies"} <= found.keys():
            (tmp_path / "config.yaml").write_text(yaml.safe_dump(found))
            validate.load(tmp_path / "config.yaml")


@pytest.mark.parametrize("name", PAGES)
def test_tables_have_as_many_cells_in_every_row(name: str) -> None:
    text = re.sub(r"^```.*?^```$", "", page(name), flags=re.MULTILINE | re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text + "\n", flags=re.MULTILINE):
        rows = table.splitlines()
        cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert len(cells) == 1, f"{rows[0]}: a bar inside a formula is written \\lvert or \\rvert"


@pytest.mark.slow
def test_the_site_builds_without_warnings_and_fetches_nothing(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", tmp_path],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "_static" / "math.ttf").exists()
    fetched = re.compile(
        r"""<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//"""
    )
    for file in tmp_path.rglob("*.html"):
        assert not fetched.search(file.read_text(encoding="utf-8")), file
    for file in tmp_path.rglob("*.css"):
        assert not re.search(r"url\(.?https?:|@import", file.read_text(encoding="utf-8")), file

"""The library without the extra packages: what works, and what the others are told."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from descentflow.errors import EXTRAS, MissingPackage

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODULES = {"python-flint": "flint", "netcdf4": "netCDF4"}
"""What packages are imported as, where it is not their name."""

BLOCK = """
import sys
for name in {modules}:
    sys.modules[name] = None
"""

LIBRARY = """
import numpy as np
import descentflow as df
problem = df.Problem(inputs=df.Uniform(0, 1), target=df.Affine(1), network=df.Network(4))
starts = np.random.default_rng(0).normal(size=(2, 13))
df.descend(problem, starts, step_size=0.01, steps=3)
df.flow(problem, starts, until=0.1)
df.optimize(problem, starts, method="adam", step_size=0.01, steps=3, batch=4)
df.limit_gram([[1.0, 0.0], [0.0, 1.0]], architecture="residual", activation="softplus", depth=2)
for name in ("critical_risks", "certify", "plot"):
    try:
        getattr(df, name)
    except ImportError as error:
        print(error)
"""


def extra_modules() -> list[str]:
    names = [
        requirement.partition(">")[0]
        for listed in PROJECT["optional-dependencies"].values()
        for requirement in listed
    ]
    packages = [name for name in names if not name.startswith("descentflow")]
    return [MODULES.get(name, name) for name in packages]


def without_extras(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = BLOCK.format(modules=extra_modules()) + code
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_library_trains_and_says_what_the_rest_needs() -> None:
    ended = without_extras(LIBRARY)
    assert ended.returncode == 0, ended.stderr
    assert [line.partition(",")[0] for line in ended.stdout.splitlines()] == [
        "this needs flint",
        "this needs flint",
        "this needs matplotlib",
    ]
    assert "pip install 'descentflow[certify]'" in ended.stdout


COMMAND = "import runpy, sys; sys.argv[0] = 'descentflow'; from descentflow.cli import main; main()"


@pytest.mark.parametrize("command", ["check", "schema", "cite", "estimate"])
def test_commands_that_plan_need_no_extras(command: str) -> None:
    ended = without_extras(COMMAND, command)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", ["run", "check-results"])
def test_other_commands_name_the_package(command: str) -> None:
    ended = without_extras(COMMAND, command)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: this needs ")
    assert "pip install 'descentflow[workflow]'" in ended.stderr


def test_extras_are_those_of_the_package() -> None:
    for module, extra in EXTRAS.items():
        listed = " ".join(PROJECT["optional-dependencies"][extra])
        assert {"flint": "python-flint"}.get(module, module).lower() in listed
    assert "[deep]" in str(MissingPackage("jax.numpy"))

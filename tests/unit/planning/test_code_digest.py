"""Which code a job depends on: found without running it, and compared with what really runs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from descentflow.planning import code_digest
from descentflow.planning.jobs import Job, Jobs

PACKAGE = code_digest.folder()
STUDIES = ("constant_targets", "random_initializations", "overparameterized")

FLOORS = (
    {"errors"},
    {"simd", "runtime"},
    {"schema"},
    {"functions", "deep"},
    {"risk"},
    {"config", "training", "landscape"},
    {"planning"},
    {"datasets"},
    {"archive", "studies"},
    {"report"},
    {"stages", "cli"},
)
"""The house of the design: each floor imports only from those above it in this list."""

PURE = {
    "descentflow",
    *(f"descentflow.studies.{name}" for name in ("hidden_widths", "listed", "style")),
}
"""All that a study's figures may use beside their own floor."""


@cache
def sources() -> dict[str, Path]:
    """The package's modules by name, but for the top one, which hands out names."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("descentflow", *path.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    del found["descentflow"]
    return found


def imports(path: Path) -> Iterator[str]:
    """Every module of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in sources() else str(node.module) for name in whole]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "descentflow")


def floor(module: str) -> int:
    """The number of a module's floor."""
    top = module.split(".")[1]
    return next(number for number, names in enumerate(FLOORS) if top in names)


# ---- the house


@pytest.mark.parametrize("module", sorted(sources()))
def test_each_floor_imports_from_those_above(module: str) -> None:
    for imported in imports(sources()[module]):
        if imported != "descentflow":
            assert floor(imported) <= floor(module), f"{module} imports {imported}"


def test_every_module_has_a_floor() -> None:
    tops = {name.split(".")[1] for name in sources()}
    assert tops <= set().union(*FLOORS), "place the new module in FLOORS"


def test_packages_are_empty() -> None:
    """But for the top one, the stages', which sets threads first, and those that declare a study."""
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent.parent.name == "studies":
            assert set(imports(path)) == {"descentflow.config.study"}, path
        elif path.parent.name not in ("descentflow", "stages"):
            assert not path.read_text().strip(), path


@pytest.mark.parametrize("study", STUDIES)
def test_figures_only_draw(study: str) -> None:
    """They see datasets, never the code that computed them."""
    names = set(imports(sources()[f"descentflow.studies.{study}.figures"]))
    assert names <= PURE


def test_imports_have_no_cycle() -> None:
    """Not even within a floor."""
    graph = {name: set(imports(path)) & set(sources()) for name, path in sources().items()}
    while free := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in free:
            del graph[name]
    lazy = {"descentflow.risk.problem", "descentflow.risk.closed_form"}
    assert set(graph) <= lazy, graph


# ---- the static closure


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of our own in place of the real one, empty but for its top."""
    folder = tmp_path / "descentflow"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.setattr(code_digest, "folder", lambda: folder)
    code_digest._read.cache_clear()
    code_digest.digest.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Nothing of a made-up package stays in the caches."""
    yield
    code_digest._read.cache_clear()
    code_digest.digest.cache_clear()


def write(folder: Path, **texts: str) -> None:
    """Modules of the made-up package."""
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    code_digest._read.cache_clear()
    code_digest.digest.cache_clear()


IMPORTS = {
    "plain": "import descentflow.b",
    "renamed": "import descentflow.b as x",
    "module": "from descentflow import b",
    "name": "from descentflow.b import thing",
    "inside": "def f():\n    from descentflow.b import thing\n",
    "guarded": "try:\n    import descentflow.b\nexcept ImportError:\n    pass\n",
    "otherwise": "if TYPE_CHECKING:\n    pass\nelse:\n    import descentflow.b\n",
    "several": "import os, descentflow.b\n",
    "relative module": "from . import b",
    "relative name": "from .b import thing",
}


@pytest.mark.parametrize("text", IMPORTS.values(), ids=IMPORTS.keys())
def test_imports_are_found(package: Path, text: str) -> None:
    """However they are written."""
    write(package, a=text, b="")
    assert code_digest.closure("descentflow.a") == {"descentflow", "descentflow.a", "descentflow.b"}


@pytest.mark.parametrize("text", ["from .. import b", "from ..b import thing"])
def test_relative_imports_go_up(package: Path, text: str) -> None:
    (package / "inner").mkdir()
    write(package, b="", **{"inner/__init__": "", "inner/a": text})
    assert "descentflow.b" in code_digest.closure("descentflow.inner.a")


@pytest.mark.parametrize("text", ["import descentflow as df", "from descentflow import f"])
def test_public_names_are_found_where_they_live(package: Path, text: str) -> None:
    """The package imports them when they are used; its version alone imports nothing."""
    public = "if TYPE_CHECKING:\n    from descentflow.b import f\n__version__ = ''\n"
    write(package, __init__=public, a=text, b="", c="from descentflow import __version__")
    assert "descentflow.b" in code_digest.closure("descentflow.a")
    assert code_digest.closure("descentflow.c") == {"descentflow", "descentflow.c"}


@pytest.mark.parametrize(
    "text",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import descentflow.b\n",
        "import os\nfrom json import dumps\n",
        "'import descentflow.b'\n",
    ],
)
def test_what_does_not_run_is_not_found(package: Path, text: str) -> None:
    write(package, a=text, b="")
    assert code_digest.closure("descentflow.a") == {"descentflow", "descentflow.a"}


def test_closures_are_followed_through_cycles(package: Path) -> None:
    write(package, a="import descentflow.b", b="import descentflow.c", c="import descentflow.a")
    names = {"descentflow", *(f"descentflow.{n}" for n in "abc")}
    assert code_digest.closure("descentflow.a") == names


def test_digests_follow_contents(package: Path) -> None:
    """Of the files in the closure, and of no others."""
    write(package, a="import descentflow.b", b="", c="")
    before = code_digest.digest("descentflow.a")
    assert len(before) == 16
    write(package, c="x = 1")
    assert code_digest.digest("descentflow.a") == before
    os.utime(package / "b.py")
    assert code_digest.digest("descentflow.a") == before
    write(package, b="x = 1")
    changed = code_digest.digest("descentflow.a")
    assert changed != before
    write(package, b="")
    assert code_digest.digest("descentflow.a") == before


def test_digests_tell_files_apart(package: Path) -> None:
    """The same bytes in another file of the closure are another digest."""
    write(package, a="import descentflow.b, descentflow.c", b="x = 1", c="")
    before = code_digest.digest("descentflow.a")
    write(package, b="", c="x = 1")
    assert code_digest.digest("descentflow.a") != before


def test_unknown_modules_are_refused(package: Path) -> None:
    write(package, a="")
    with pytest.raises(ModuleNotFoundError):
        code_digest.closure("descentflow.nothing")


# ---- against what is really imported


SETTING: dict[str, Any] = {
    "inputs": {"law": "uniform"},
    "network": {"hidden": 2},
    "initialization": {"law": "normal", "count": 3, "chunk": 4},
    "training": {"method": "gd", "step_size": 0.1, "steps": 20, "snapshots": 1},
}
HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
ONE = {"kind": "constant", "value": 1.0}


FLOW = {**SETTING, "training": {"method": "gf", "until": 1.0, "snapshots": 1}}


def smallest(folder: Path) -> Jobs:
    """Jobs of every stage, trainer and kind of study, in ``folder``."""
    sizes = {"training.step_size": [0.1, {"lyapunov_fraction": 0.5}]}
    inputs = {"law": "sphere", "number": 2, "dimension": 3}
    network = {"architecture": "residual", "activation": "tanh", "depth": 2, "width": 4}
    start = {"inputs": inputs, "network": network, "initialization": {"count": 3, "chunk": 4}}
    training = {"step_size": {"stability_fraction": 0.5}, "steps": 4}
    limit = {key: value for key, value in network.items() if key != "width"}
    studies: Mapping[str, Any] = {
        "constant_targets": {
            "convergence": {**SETTING, "target": ONE, "sweep": sizes},
            "flow": {**FLOW, "target": ONE},
        },
        "random_initializations": {"success": {**SETTING, "target": HAT}},
        "overparameterized": {
            "concentration": start,
            "training": {**start, "labels": {"law": "signs"}, "training": training},
            "depth": {"inputs": inputs, "network": limit, "sweep": {"network.depth": [2, 3]}},
        },
    }
    outputs = {"results": str(folder / "results"), "figures": str(folder / "figures")}
    return Jobs.from_mapping({"seed": 1, "outputs": outputs, "studies": studies}, "lock")


SPY = """
import json, os, runpy, sys
import netCDF4, numpy, pydantic, xarray  # which every stage imports: once is enough
assert not any(name.split(".")[0] == "descentflow" for name in sys.modules)
for listing, module, arguments in json.load(sys.stdin):
    if not (child := os.fork()):
        sys.argv[1:] = arguments
        runpy.run_module(module, run_name="__main__")
        with open(listing, "w") as file:
            json.dump(sorted({module, *sys.modules}), file)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, module
"""


def imported(jobs: Sequence[Job], folder: Path) -> dict[tuple[str, ...], set[str]]:
    """Do each job in a fork of its own; all modules that it has loaded."""
    todo = []
    for number, job in enumerate(jobs):
        arguments = ["--job", job.json, "--output", *job.outputs]
        arguments += ["--input", *job.inputs] if job.inputs else []
        todo.append((str(folder / f"{number}.json"), job.modules[0], arguments))
    subprocess.run([sys.executable, "-c", SPY], input=json.dumps(todo), text=True, check=True)
    listings = (json.loads((folder / f"{n}.json").read_text()) for n in range(len(jobs)))
    return {job.outputs: set(names) for job, names in zip(jobs, listings, strict=True)}


FORBIDDEN = {
    "certify": {"numba", "llvmlite", "jax", "matplotlib", "scipy.stats"},
    "sample_below": {"jax", "matplotlib", "scipy.stats"},
    "sample": {"numba", "llvmlite", "jax", "matplotlib", "scipy.stats"},
    "descent": {"jax", "matplotlib", "scipy.stats"},
    "flow": {"jax", "matplotlib", "scipy.stats"},
    "deep_gram": {"numba", "llvmlite", "matplotlib"},
    "deep_descent": {"numba", "llvmlite", "matplotlib"},
    "aggregate": {"jax", "matplotlib"},
    "draw": {"jax", "numba", "llvmlite"},
    "judge": {"jax", "matplotlib"},
    "show_claims": {"jax", "numba", "llvmlite"},
}
"""Modules that are slow to import, by the stages and trainers that have no use for them."""


@pytest.mark.slow
def test_closures_against_what_is_really_imported(tmp_path: Path) -> None:
    """Jobs on real input: nothing that runs is missing from the digest of a job's code.

    Nothing else is in it but the risk engine, which is imported where a risk is asked for: then an
    edit reruns few jobs that do not need it. And no stage pays for what it does not use.
    """
    models = ("trained_parts", "kinked_sample", "deep_networks")
    names = (f"descentflow.risk.{name}" for name in ("engine", *models))
    engine = code_digest.closure(*names)
    jobs = {job.outputs: job for job in smallest(tmp_path).all()}
    for outputs, modules in imported([*jobs.values()], tmp_path).items():
        job = jobs[outputs]
        real = {module for module in modules if module.split(".")[0] == "descentflow"}
        closure = code_digest.closure(*job.modules)
        assert real <= closure, (job.modules, real - closure)
        extras = closure - real
        assert extras <= engine, (job.modules, extras - engine)
        unwanted = FORBIDDEN[job.trainer or job.stage] | {"snakemake"}
        assert not modules & unwanted, (job.modules, modules & unwanted)


def test_an_edit_reruns_what_it_can_change(tmp_path: Path) -> None:
    """No kernel of one way of training is in the code of another."""
    closures = {job.trainer: code_digest.closure(*job.modules) for job in smallest(tmp_path).all()}
    flow = {"descentflow.training.flow_kernel", "descentflow.training.rosenbrock"}
    assert flow <= closures["flow"]
    assert not flow & closures["descent"]
    for trainer in ("deep_gram", "deep_descent"):
        folders = {name.split(".")[1] for name in closures[trainer] if "." in name}
        assert not folders & {"risk", "config"}, trainer
    for trainer in ("descent", "flow"):
        assert not [name for name in closures[trainer] if name.startswith("descentflow.deep")]


def test_modules_of_jobs_are_files() -> None:
    for job in smallest(Path("nowhere")).all():
        for module in job.modules:
            spec = find_spec(module)
            assert spec is not None, module
            assert spec.origin is not None, module
            assert Path(spec.origin) == code_digest._file(module)


WORDS = {
    "a docstring": ('"""Text."""', '"""Other text."""'),
    "a comment": ("x = 1", "x = 1  # for a reason"),
    "the layout": ("x = (1, 2)", "x = (\n    1,\n    2,\n)"),
    "a refusal": ('raise ValueError("no")', 'raise ValueError(f"not {x}")'),
    "a description": ('Field(description="a")', 'Field(description="b")'),
    "a check": (
        "@check('a')\ndef f(self): yield 1",
        "@check('a', 'b')\ndef f(self): yield 2",
    ),
    "line endings": ("x = 1\ny = 2\n", "x = 1\r\ny = 2\r\n"),
}


@pytest.mark.parametrize(("before", "after"), WORDS.values(), ids=WORDS.keys())
def test_words_are_not_in_digests(package: Path, before: str, after: str) -> None:
    """Neither is anything else that no result depends on."""
    write(package, a=before)
    digest = code_digest.digest("descentflow.a")
    write(package, a="")
    (package / "a.py").write_bytes(after.encode())
    code_digest._read.cache_clear()
    code_digest.digest.cache_clear()
    assert code_digest.digest("descentflow.a") == digest


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('x = "a"', 'x = "b"'),
        ('raise ValueError("no")', 'raise TypeError("no")'),
        ("raise StopIteration(1.0)", "raise StopIteration(2.0)"),
        ("f(1, name=2)", "f(1, name=3)"),
        ('f(description="a")', 'f(description="b")'),
        ("@check(1)\ndef f(x): return 1", "@check(1)\ndef f(x): return 2"),
        ("def f(): return 1", "def f(): return 2"),
    ],
)
def test_code_is_in_digests(package: Path, before: str, after: str) -> None:
    write(package, a=before)
    digest = code_digest.digest("descentflow.a")
    write(package, a=after)
    assert code_digest.digest("descentflow.a") != digest


@pytest.mark.parametrize("module", code_digest.WORDS)
def test_modules_of_words_compute_nothing(module: str) -> None:
    """They are left out of digests, so they import nothing that computes."""
    assert code_digest.closure(module) <= {
        "descentflow",
        "descentflow.schema",
        *code_digest.WORDS,
    }

"""Which code a job depends on: found without running it, and compared with what really runs."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from descentflow.planning import code_digest
from descentflow.planning.jobs import Jobs

PACKAGE = code_digest.folder()
STUDIES = ("constant_targets", "random_initializations", "overparameterized")

FLOORS = (
    {"errors"},
    {"simd", "runtime"},
    {"schema"},
    {"functions", "deep"},
    {"risk"},
    {"config", "training"},
    {"planning"},
    {"datasets"},
    {"archive", "studies"},
    {"report"},
    {"stages", "cli"},
)
"""The house of the design: each floor imports only from those above it in this list."""

PURE = {"descentflow", "descentflow.studies.style"}
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
    """All but the top one, and the stages', which sets threads before anything loads them."""
    for path in PACKAGE.rglob("__init__.py"):
        if path.parent.name not in ("descentflow", "stages"):
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
    code_digest._imports.cache_clear()
    return folder


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Nothing of a made-up package stays in the caches."""
    yield
    code_digest._imports.cache_clear()


def write(folder: Path, **texts: str) -> None:
    """Modules of the made-up package."""
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    code_digest._imports.cache_clear()


IMPORTS = {
    "plain": "import descentflow.b",
    "renamed": "import descentflow.b as x",
    "module": "from descentflow import b",
    "name": "from descentflow.b import thing",
    "inside": "def f():\n    from descentflow.b import thing\n",
    "guarded": "try:\n    import descentflow.b\nexcept ImportError:\n    pass\n",
    "otherwise": "if TYPE_CHECKING:\n    pass\nelse:\n    import descentflow.b\n",
    "several": "import os, descentflow.b\n",
}


@pytest.mark.parametrize("text", IMPORTS.values(), ids=IMPORTS.keys())
def test_imports_are_found(package: Path, text: str) -> None:
    """However they are written."""
    write(package, a=text, b="")
    assert code_digest.closure("descentflow.a") == {"descentflow", "descentflow.a", "descentflow.b"}


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


@dataclass(frozen=True)
class Stage:
    """A stage's command on real input, and the modules that its closure starts from."""

    name: str
    job: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    dynamic: tuple[str, ...] = ()

    @property
    def closure(self) -> set[str]:
        """The static closure."""
        return code_digest.closure(f"descentflow.stages.{self.name}", *self.dynamic)


SETTING: dict[str, Any] = {
    "inputs": {"law": "uniform"},
    "network": {"hidden": 2},
    "initialization": {"law": "normal", "count": 3, "chunk": 4},
    "training": {"method": "gd", "step_size": 0.1, "steps": 20, "snapshots": 1},
}
HAT = {"kind": "piecewise_linear", "knots": [0, 0.5, 1], "values": [0.5, 0, 0.5]}
ONE = {"kind": "constant", "value": 1.0}


def smallest(folder: Path) -> Jobs:
    """One run of each study, in ``folder``."""
    sizes = {"training.step_size": [0.1, {"lyapunov_fraction": 0.5}]}
    studies: Mapping[str, Any] = {
        "constant_targets": {"convergence": {**SETTING, "target": ONE, "sweep": sizes}},
        "random_initializations": {"success": {**SETTING, "target": HAT}},
    }
    outputs = {"results": str(folder / "results"), "figures": str(folder / "figures")}
    return Jobs.from_mapping({"seed": 1, "outputs": outputs, "studies": studies}, "lock")


def smallest_deep(folder: Path) -> Jobs:
    """One run of each kind of the deep study, in ``folder``."""
    inputs = {"law": "sphere", "number": 2, "dimension": 3}
    network = {"architecture": "residual", "activation": "tanh", "depth": 2, "width": 4}
    start = {"inputs": inputs, "network": network, "initialization": {"count": 3, "chunk": 4}}
    training = {"step_size": {"stability_fraction": 0.5}, "steps": 4}
    limit = {key: value for key, value in network.items() if key != "width"}
    experiments = {
        "concentration": start,
        "training": {**start, "labels": {"law": "signs"}, "training": training},
        "depth": {"inputs": inputs, "network": limit, "sweep": {"network.depth": [2, 3]}},
    }
    outputs = {"results": str(folder / "results"), "figures": str(folder / "figures")}
    studies = {"overparameterized": experiments}
    return Jobs.from_mapping({"seed": 1, "outputs": outputs, "studies": studies}, "lock")


def stages(jobs: Jobs) -> dict[str, Stage]:
    """Commands of every stage, each after those it needs."""
    found: dict[str, Stage] = {}
    for study, runs in jobs.runs.items():
        for number, run in enumerate(runs):
            samples = tuple(map(Path, jobs.samples(run.id, "0-3")))
            if run.start is not None:
                job = jobs.sample_job(run.start.id, "0-3")
                found[f"sample-{study}-{number}"] = Stage(run.start.stage, job, (), samples)
            trained = (Path(jobs.segment(run.id, "0-3", 0)),)
            job = jobs.train_job(run.id, "0-3", 0)
            found[f"train-{study}-{number}"] = Stage(run.stage, job, samples, trained)
        files, dataset = tuple(map(Path, jobs.trained(study))), (Path(jobs.dataset(study)),)
        measures, figures = (
            f"descentflow.studies.{study}.measures",
            f"descentflow.studies.{study}.figures",
        )
        job = jobs.aggregate_job(study)
        stage = json.loads(job)["stage"]
        found[f"aggregate-{study}"] = Stage(stage, job, files, dataset, (measures,))
        png = tuple(Path(path) for path in jobs.figures(study) if path.endswith("png"))
        found[f"draw-{study}"] = Stage("draw", jobs.draw_job(study), dataset, png, (figures,))
    datasets = tuple(Path(jobs.dataset(study)) for study in jobs.runs)
    claims = tuple(f"descentflow.studies.{study}.claims" for study in jobs.runs)
    table = (Path(jobs.claims),)
    found["judge"] = Stage("judge", jobs.judge_job(), datasets, table, claims)
    shown = (Path(jobs.claims_figures[-1]), Path(jobs.claims_page))
    found["show_claims"] = Stage("show_claims", jobs.show_claims_job(), table, shown)
    return found


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


def imported(stages: Mapping[str, Stage], folder: Path) -> dict[str, set[str]]:
    """Run each stage in a fork of its own; all modules that it has loaded."""
    todo = []
    for name, stage in stages.items():
        arguments = ["--job", stage.job, "--output", *map(str, stage.outputs)]
        arguments += ["--input", *map(str, stage.inputs)] if stage.inputs else []
        module = f"descentflow.stages.{stage.name}"
        todo.append((str(folder / f"{name}.json"), module, arguments))
    subprocess.run([sys.executable, "-c", SPY], input=json.dumps(todo), text=True, check=True)
    return {name: {*json.loads((folder / f"{name}.json").read_text())} for name in stages}


COMPILERS = {"numba", "llvmlite", "jax"}
FORBIDDEN = {
    "sample": {"numba", "llvmlite", "matplotlib", "scipy.stats"},
    "gram_deep": {"numba", "llvmlite", "matplotlib"},
    "train_deep": {"numba", "llvmlite", "matplotlib"},
    "aggregate_deep": {*COMPILERS, "matplotlib"},
    "train": {"matplotlib", "scipy.stats"},
    "aggregate": {"matplotlib"},
    "draw": {"numba", "llvmlite", "scipy.stats"},
    "judge": {"matplotlib"},
    "show_claims": {"numba", "llvmlite"},
}
NOWHERE = {"snakemake"}
DEEP_ONLY = {"jax"}


def test_closures_against_what_is_really_imported(tmp_path: Path) -> None:
    """Stages on real input: nothing that runs is missing from the digest of a job's code.

    Nothing else is in it but the risk engine, which is imported where a risk is asked for: then an
    edit reruns few jobs that do not need it. And no stage pays for what it does not use.
    """
    engine = code_digest.closure("descentflow.risk.engine")
    found = stages(smallest(tmp_path / "shallow"))
    found |= {f"deep {k}": s for k, s in stages(smallest_deep(tmp_path / "deep")).items()}
    for name, modules in imported(found, tmp_path).items():
        stage = found[name]
        real = {module for module in modules if module.split(".")[0] == "descentflow"}
        assert real <= stage.closure, (name, real - stage.closure)
        extras = stage.closure - real
        assert extras <= engine, (name, extras - engine)
        jax = set() if stage.name in ("gram_deep", "train_deep") else DEEP_ONLY
        unwanted = FORBIDDEN[stage.name] | NOWHERE | jax
        assert not modules & unwanted, (name, modules & unwanted)


def test_shallow_and_deep_jobs_share_no_kernels(tmp_path: Path) -> None:
    """So that an edit of one kind's kernels or networks computes nothing of the other again."""
    computing = ("sample", "train", "aggregate")
    shallow, deep = stages(smallest(tmp_path)), stages(smallest_deep(tmp_path))
    for jobs, foreign in ((shallow, ("deep",)), (deep, ("risk",))):
        chosen = [stage for name, stage in jobs.items() if name.startswith(computing)]
        assert len(chosen) > len(computing) - 1
        for stage in chosen:
            tops = {name.split(".")[1] for name in stage.closure if "." in name}
            assert not tops & {*foreign}, (stage.name, tops)


def test_closures_name_real_files() -> None:
    """Every module of every job's closure can be found by Python, where the digest finds it."""
    found = [*stages(smallest(Path("nowhere"))).values()]
    for stage in [*found, *stages(smallest_deep(Path("nowhere"))).values()]:
        for name in stage.closure:
            spec = find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            assert Path(spec.origin) == code_digest._file(name)

"""Variables and files of the session neither change results nor stop jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from descentflow.errors import InputError
from descentflow.runtime import session

HOSTILE = {
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "JAX_PLATFORMS": "cuda",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DISABLE_JIT": "1",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "MATPLOTLIBRC": "/nowhere",
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_THREADING_LAYER": "tbb",
    "NUMBA_NUM_THREADS": "0",
    "OPENBLAS_NUM_THREADS": "7",
    "SCIPY_ARRAY_API": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
}
HARMLESS = {
    "NUMBA_NUM_THREADS": "3",
    "NUMBA_CACHE_DIR": "/kernels",
    "NUMBA_CPU_NAME": "generic",
    "OPENBLAS_CORETYPE": "Haswell",
    "TF_CLI_CONFIG_FILE": "terraform.rc",
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": "/source",
    "CUDA_VISIBLE_DEVICES": "0",
    "HOME": "somebody",
}


@pytest.mark.parametrize(("name", "value"), HOSTILE.items())
def test_a_hostile_variable_is_set_or_cleared_and_named(
    name: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {name: value}
    session.own_variables(variables)
    assert variables == session.SET
    assert f": {name}\n" in capsys.readouterr().err


def test_a_second_time_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    variables = dict(HARMLESS)
    session.own_variables(variables)
    assert variables == {**HARMLESS, **session.SET}
    session.own_variables(variables)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "-1", "many", "", "1e3", "99999999"])
def test_threads_are_a_moderate_number(count: str) -> None:
    variables = {"NUMBA_NUM_THREADS": count}
    session.own_variables(variables)
    assert "NUMBA_NUM_THREADS" not in variables


def python(folder: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_stages_import_under_hostile_variables_and_files(tmp_path: Path) -> None:
    """Each of these alone stopped an import before."""
    (tmp_path / "matplotlibrc").write_bytes(b"axes.titlesize: \xff\n")
    code = (
        "import descentflow.stages.draw, descentflow.stages.train, descentflow.deep.xla, numba, jax\n"
        "import matplotlib\n"
        "assert matplotlib.get_backend() == 'Agg' and not numba.config.DISABLE_JIT\n"
        "assert jax.numpy.ones((2, 2)).sum() + jax.numpy.ones(3)[0] == 5\n"
    )
    ended = python(tmp_path, code, **{**HOSTILE, "PYTHONWARNINGS": ""})
    assert ended.returncode == 0, ended.stderr


def test_numbas_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\n")
    ended = python(tmp_path, "import descentflow.stages.train")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: .numba_config.yaml: ")


def test_the_refusal_comes_from_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    session.check_session()
    (tmp_path / ".numba_config.yaml").touch()
    with pytest.raises(InputError, match="move it away"):
        session.check_session()


def test_a_cache_is_a_folder_and_its_name_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("~/cache", "$HOME/cache", "${HOME}/cache"):
        variables = {"DESCENTFLOW_CACHE": name}
        session.own_variables(variables)
        assert variables["DESCENTFLOW_CACHE"] == f"{tmp_path}/cache"
    monkeypatch.setenv("DESCENTFLOW_CACHE", f"{tmp_path}/cache")
    session.check_session()
    (tmp_path / "cache").touch()
    with pytest.raises(InputError, match=r"DESCENTFLOW_CACHE: a folder .* is a file"):
        session.check_session()


def test_fast_math_of_the_session_changes_no_bit() -> None:
    """In a session of one's own too: the last of a flag holds, and it is ours."""
    code = (
        "import descentflow.deep.xla, jax, jax.numpy as jnp, numpy as np\n"
        "x = np.random.default_rng(0).standard_normal((4, 1001))\n"
        "f = jax.jit(lambda x: (jnp.exp(x) / (1 + x * x)).sum(axis=1) / jnp.sqrt(x[:, 0] ** 2))\n"
        "print(np.asarray(f(x)).tobytes().hex())\n"
    )
    folder = Path.cwd()
    strict = python(folder, code)
    fast = python(folder, code, XLA_FLAGS="--xla_cpu_enable_fast_math=true")
    assert strict.stdout, strict.stderr
    assert fast.stdout == strict.stdout

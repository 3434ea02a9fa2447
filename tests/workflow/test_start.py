"""What a run settles before its first job: one reader of files, whose session, whose packages, which
folder."""

import fcntl
import re
from pathlib import Path

import pytest
from checkout import LOCK, Checkout, Ended

RUN = "import sys; from descentflow.cli import main; main()"
NAMES = ("numpy", "secrets", "types", "yaml", "pydantic", "matplotlib")
HOSTILE = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_NUM_THREADS": "0",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
    "JAX_PLATFORMS": "cuda",
}


def run(checkout: Checkout, *arguments: str, **variables: str) -> Ended:
    """``descentflow run`` on one core."""
    return checkout.python("-P", "-c", RUN, "run", "--cores", "1", *arguments, **variables)


TRAPS = {
    "twice": ("seed: 7", "seed: 7\nseed: 8", "seed: is given twice, in line"),
    "octal": ("hidden: 4", "hidden: 010", "'010' has leading zeros"),
    "sexagesimal": ("seed: 7", "seed: 1:30", "'1:30' is a number of base 60"),
    "code": ("seed: 7", "__use_yte__: true\nseed: 7", "__use_yte__: unknown key"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_bare_snakemake_reads_files_as_check_does(fresh: Checkout, name: str) -> None:
    """Given as ``--configfile``, and as the file of the workflow."""
    before, after, says = TRAPS[name]
    path = fresh.root / ("config.yaml" if name == "octal" else "tiny.yaml")
    text = (fresh.root / "tiny.yaml").read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    ended = fresh.snakemake("--dry-run", config=None if name == "octal" else "tiny.yaml")
    assert ended.code != 0
    assert says in ended.text
    assert "Traceback" not in ended.text


def test_the_command_reads_files_before_snakemake_does(fresh: Checkout) -> None:
    (fresh.root / "tiny.yaml").write_bytes("seed: 1\n".encode("utf-16"))
    ended = run(fresh, "--configfile", "tiny.yaml")
    assert ended == Ended(
        1, "error: tiny.yaml: line 1: is not UTF-8 text; save the file with that encoding\n"
    )


@pytest.mark.slow
def test_a_hostile_session_and_folder_change_no_byte(finished: Checkout, tmp_path: Path) -> None:
    """Modules of the working folder shadow none; the overridden variables are named once."""
    checkout = finished.copy(tmp_path / "hostile", computed=False)
    for name in NAMES:
        (checkout.root / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    (checkout.root / "matplotlibrc").write_bytes(b"axes.titlesize: \xff\n")
    ended = run(checkout, "--configfile", "tiny.yaml", **HOSTILE)
    assert ended.code == 0, ended.text
    assert ended.text.count(", ".join(sorted(HOSTILE))) == 1
    names = {path for path in finished.files("results") if path.suffix != ".log"}
    for path in sorted(names | set(finished.files("figures"))):
        assert (checkout.root / path).read_bytes() == (finished.root / path).read_bytes(), path


def test_bare_snakemake_is_safe_from_modules_here(warm: Checkout) -> None:
    """It puts the folder of the Snakefile on Python's path itself."""
    for name in NAMES:
        (warm.root / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    assert warm.python("-P", "-m", "snakemake", "-n", "--configfile", "tiny.yaml").jobs == []


def test_other_packages_stop_a_run_unless_they_are_allowed(fresh: Checkout) -> None:
    lock = fresh.root / LOCK
    text, count = re.subn(r"^numpy==\S+", "numpy==1.0", lock.read_text(), flags=re.MULTILINE)
    assert count
    lock.write_text(text)
    arguments = ("-n", "--configfile", "tiny.yaml")
    for ended in (run(fresh, *arguments), fresh.snakemake("-n")):
        assert ended.code != 0
        assert "packages are not those of requirements.lock: numpy" in ended.text
        assert "--allow-versions" in ended.text
    allowed = run(fresh, *arguments, "--allow-versions")
    assert len(allowed.jobs) == 11
    assert "note: packages are not those of requirements.lock: numpy" in allowed.text


@pytest.mark.parametrize("arguments", [("-d", "there"), ("--directory=there",), ("--profile", "p")])
def test_the_lock_is_that_of_the_folder_snakemake_works_in(
    warm: Checkout, arguments: tuple[str, ...]
) -> None:
    """A live run there keeps its locks, also from a run that is started elsewhere; a dead one, none."""
    (warm.root / "p").mkdir()
    (warm.root / "p" / "config.yaml").write_text("directory: there\n")
    snakemakes = warm.root / "there" / ".snakemake"
    lock = snakemakes / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/claims.csv\n")
    with (snakemakes / "descentflow.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ended = run(warm, "--configfile", "tiny.yaml", *arguments)
        assert ended == Ended(
            1, "error: another run works in this folder; wait for it, or end it\n"
        )
        assert lock.exists()
    assert run(warm, "-n", "--configfile", "tiny.yaml", *arguments).code == 0
    assert not lock.exists()

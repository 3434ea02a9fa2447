"""What others' tools say about the files: the CF checker finds no error in them."""

import os
import subprocess
import sys
from pathlib import Path

import netCDF4
from checkout import Checkout


def test_the_cf_checker_finds_no_errors(finished: Checkout) -> None:
    results = finished.root / "results"
    files = [sorted(results.glob(kind))[0] for kind in ("samples/*/*.nc", "runs/*/*.nc")]
    command = [Path(sys.executable).parent / "compliance-checker", "--test=cf:1.11"]
    ended = subprocess.run(
        [*command, "--criteria=lenient", *files, *sorted(results.glob("datasets/*.nc"))],
        # Its main module lies beside the command, where a safe path does not look.
        env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    # The exit status also tells of exceptions in the checker, which texts as coordinates cause.
    assert ended.stdout.count("All tests passed!") == len(files) + 2, ended.stdout + ended.stderr


def test_every_variable_has_a_long_name(finished: Checkout) -> None:
    for path in sorted((finished.root / "results").rglob("*.nc")):
        with netCDF4.Dataset(path) as file:
            nameless = [name for name, v in file.variables.items() if not hasattr(v, "long_name")]
        assert not nameless, path

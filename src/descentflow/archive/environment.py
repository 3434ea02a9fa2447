"""Facts about the machine that builds an archive: versions, BLAS, processor; no name, no time.

They are kept for whoever has to explain a deviation. They differ from machine to machine, so they
stand in a file of their own that the archive's *contents digest* leaves out.
"""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding

from descentflow.archive import sources

PACKAGES = (
    "numpy", "scipy", "numba", "llvmlite", "jax", "jaxlib", "xarray", "netCDF4", "matplotlib",
    "pydantic", "snakemake", "rocrate",
)  # fmt: skip


def facts(root: Path) -> dict[str, Any]:
    """Python, libraries, BLAS, C library, processor, and the commit that is checked out."""
    return {
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "packages": {package: _version(package) for package in PACKAGES},
        "netcdf": _netcdf(),
        "blas": _blas(),
        "system": {
            "name": platform.system(),
            "machine": platform.machine(),
            "libc": " ".join(platform.libc_ver()),
        },
        "processor": {
            "model": _model(),
            "llvm": str(binding.get_host_cpu_name()),
            "features": sorted(k for k, on in binding.get_host_cpu_features().items() if on),
        },
        "commit": sources.commit(root),
    }


def as_json(root: Path) -> bytes:
    """The facts as a file."""
    text = json.dumps(facts(root), indent=1, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _netcdf() -> dict[str, str]:
    import netCDF4

    return {"netcdf-c": netCDF4.__netcdf4libversion__, "hdf5": netCDF4.__hdf5libversion__}


def _blas() -> dict[str, str]:
    """What NumPy was built with, without folders of the machine that built it."""
    found: Any = np.show_config(mode="dicts")
    parts = found.get("Build Dependencies", {})
    kept = ("name", "version", "openblas configuration")
    return {
        f"{part} {key}": str(parts[part][key])
        for part in ("blas", "lapack")
        for key in kept
        if key in parts.get(part, {})
    }


def _model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, None)

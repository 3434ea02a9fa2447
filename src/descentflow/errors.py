"""What the package refuses, and says so: every refusal is a ``ValueError`` a person can act on."""

EXTRAS = {
    "bokeh": "animate",
    "flint": "certify",
    "jax": "deep",
    "matplotlib": "report",
    "netCDF4": "workflow",
    "seaborn": "report",
    "snakemake": "workflow",
}
"""Which extra dependencies of the package have a module that the library can do without."""


def printable(text: str) -> str:
    """Return a text for a terminal: all that is not printable, but for line ends, is escaped.

    Names in an archive, and file names, are written by others, and may hold control characters.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


class InputError(ValueError):
    """Bad input: the message says what was found, where, and what is allowed."""


class MissingPackage(InputError, ImportError):
    """A package is not installed that only some of descentflow needs."""

    def __init__(self, package: str) -> None:
        extra = EXTRAS.get(package.partition(".")[0], "workflow")
        lock = "pip install -r envs/report.lock" if extra == "animate" else "make env"
        super().__init__(
            f"this needs {package}, which is not installed: pip install 'descentflow[{extra}]', or "
            f"in a checkout {lock}"
        )


class ConfigurationError(InputError):
    """One or more keys of a configuration (or of a problem's mapping) are wrong.

    ``where`` are the keys that lead to the wrong value, where there is just one.
    """

    def __init__(self, text: str, where: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{'.'.join(map(str, where))}: {text}" if where else text)
        self.text, self.where = text, where


class CannotWrite(InputError):
    """An output cannot be written: a full disk, a folder without permission."""


class DamagedFile(InputError):
    """A file between stages is truncated, tampered with, or not one of ours."""

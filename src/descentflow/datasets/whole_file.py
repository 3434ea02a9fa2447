"""Files that appear whole: written under a temporary name, renamed when complete."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from descentflow.errors import CannotWrite


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes it when the block ends well.

    What earlier, killed attempts at the same file left is swept first. The content reaches the disk
    before the name does. Raises CannotWrite, naming the file.
    """
    temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(f".{path.name}.*.part"):
            stale.unlink(missing_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise CannotWrite(f"{path}: cannot be written: {reason}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)

"""Write and read one file with known bytes: an uncompressed tar of plain files in one form only.

Members stand in a fixed order with one time, owner 0 and mode 644 or 755, below one folder. Names and
contents determine every byte, down to the padding, independent of a compressor's version. Whoever
writes the members of an archive again must get its bytes (:meth:`Archive.rewritten`), so a changed
header, padding or end is found like a changed member.
"""

import hashlib
import io
import tarfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError

MODES = (0o644, 0o755)
MAX_TEXT = 1 << 28
"""Bytes of the largest member that is read as text."""

FIRST = "SHA256SUMS"
"""The member that comes before all others, which are sorted by name."""

FORM: dict[str, Any] = {"format": tarfile.USTAR_FORMAT, "encoding": "utf-8", "errors": "strict"}


class NotAnArchive(InputError):
    """The file is not one that :func:`write` made: cut off, damaged, or something else."""


@dataclass(frozen=True)
class Member:
    """A file to be archived: where it comes from, a path or bytes; ``name`` is relative."""

    name: str
    source: Path | bytes
    executable: bool = False

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)

    def open(self) -> IO[bytes]:
        """Return the bytes as a stream; links are followed."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes."""
        with self.open() as stream:
            return _digest(stream)


def _digest(stream: IO[bytes]) -> str:
    return hashlib.file_digest(cast(io.BytesIO, stream), "sha256").hexdigest()


def write(path: Path, folder: str, members: Iterable[Member], time: int) -> None:
    """Write the members, in their order, below ``folder`` with the same modification time.

    Raises InputError for names that lead outside, do not fit or are too much alike, and for files that
    change meanwhile.
    """
    known: dict[str, str] = {}
    with atomic_path(path) as temporary, tarfile.open(temporary, "w:", **FORM) as tar:
        for member in members:
            if not safe(member.name):
                raise InputError(
                    f"{member.name}: cannot be archived: it lies outside of the checkout"
                )
            if (
                other := known.setdefault(same_everywhere(member.name), member.name)
            ) != member.name:
                raise InputError(
                    f"{member.name}: some systems do not tell it from {other}; rename one"
                )
            header = _header(f"{folder}/{member.name}", member.size, member.executable, time)
            with member.open() as stream:
                try:
                    tar.addfile(header, stream)
                except (ValueError, UnicodeEncodeError) as error:
                    raise InputError(f"{member.name}: cannot be archived: {error}") from None
                if stream.read(1):
                    raise InputError(f"{member.name}: changed while it was archived")


def _header(name: str, size: int, executable: bool, time: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, time, MODES[executable]
    return entry


class _Digest:
    """A file that is only hashed."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Hash the next bytes."""
        self.sha256.update(data)
        return len(data)


class Archive:
    """An archive opened for reading: the plain files below its one folder, by name."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._path, self._tar = path, tar
        entries = tar.getmembers()
        self.folder = entries[0].name.partition("/")[0] if entries else ""
        self.time = int(entries[0].mtime) if entries else 0
        self.members = {self._name(entry): entry for entry in entries}
        names = list(self.members)
        if names[:1] != [FIRST]:
            raise self._wrong("not an archive of descentflow")
        if names[1:] != sorted(names[1:]) or len(names) != len(entries):
            raise self._wrong("its files are not in order")
        if len({same_everywhere(name) for name in names}) != len(names):
            raise self._wrong("holds names that some systems do not tell apart")

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Archive"]:
        """Open and index an archive; raises NotAnArchive, or InputError where it cannot be read."""
        with ExitStack() as stack:
            try:
                archive = cls(path, stack.enter_context(tarfile.open(path, "r:", **FORM)))
            except InputError:
                raise
            except OSError as error:
                raise InputError(f"{path}: cannot be read: {error.strerror}") from None
            except (tarfile.TarError, ValueError, OverflowError, RecursionError):
                raise NotAnArchive(f"{path}: not an archive of descentflow, or cut off") from None
            yield archive

    def _name(self, entry: tarfile.TarInfo) -> str:
        folder, _, name = entry.name.partition("/")
        plain = entry.type == tarfile.REGTYPE and not entry.issparse()
        if not (plain and name and safe(entry.name) and folder == self.folder):
            raise self._wrong(f"holds {entry.name!r}, which is no plain file of its folder")
        return name

    def _wrong(self, what: str) -> NotAnArchive:
        return NotAnArchive(f"{self._path}: {what}")

    def _stream(self, entry: tarfile.TarInfo) -> IO[bytes]:
        return cast(IO[bytes], self._tar.extractfile(entry))

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a member."""
        with self._stream(self.members[name]) as stream:
            return _digest(stream)

    def text(self, name: str) -> str:
        """Return a member as text; raises NotAnArchive where it is missing, too long or no text."""
        entry = self.members.get(name)
        if entry is None or entry.size > MAX_TEXT:
            raise self._wrong(f"has no usable {name}")
        try:
            with self._stream(entry) as stream:
                return stream.read().decode()
        except UnicodeDecodeError:
            raise self._wrong(f"{name} is not text") from None

    def rewritten(self) -> str:
        """Return the SHA-256 of what :func:`write` makes of the members; raises NotAnArchive."""
        digest = _Digest()
        with tarfile.open(fileobj=cast(IO[bytes], digest), mode="w|", **FORM) as tar:
            for entry in self.members.values():
                header = _header(entry.name, entry.size, entry.mode == MODES[True], self.time)
                try:
                    with self._stream(entry) as stream:
                        tar.addfile(header, stream)
                except (tarfile.TarError, ValueError, OSError):
                    raise self._wrong(f"damaged at {entry.name}") from None
        return digest.sha256.hexdigest()

    def executables(self) -> list[str]:
        """Return the names of the members whose mode says that they can be run."""
        return [name for name, entry in self.members.items() if entry.mode == MODES[True]]

    def extract(self, target: Path, names: Iterable[str]) -> Path:
        """Write members below ``target``, a folder of ours; return their folder."""
        chosen = [self.members[name] for name in names]
        self._tar.extractall(target, chosen, filter="data")
        return target / self.folder


def same_everywhere(name: str) -> str:
    """Return what names have in common that a file system may take for one."""
    return unicodedata.normalize("NFKC", name.casefold())


def safe(name: str) -> bool:
    """Return whether a name stays below the folder it is unpacked in, on every system."""
    parts = name.split("/")
    odd = any(character < " " or character in '\\:*?"<>|\x7f' for character in name)
    return not odd and not any(part in ("", ".", "..") for part in parts)

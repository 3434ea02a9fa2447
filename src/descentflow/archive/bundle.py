"""One file with known bytes: an uncompressed tar in one form only, read back without trust.

Members are plain files in a fixed order with one time, owner 0 and mode 644 or 755, below one folder.
Everything is determined by names and contents, down to the padding, and not by a compressor's
version. The reader accepts this form alone, so that every byte of the file is either a byte of a
member, held against its digest, or has the only value it may have.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import InputError

BLOCK, RECORD = 512, 10240
PIECE = 1 << 20
MODES = (0o644, 0o755)


class NotAnArchive(InputError):
    """The file is not one that :func:`write` made: cut off, damaged, or something else."""


@dataclass(frozen=True)
class Member:
    """One file of an archive: where it comes from, a path or bytes; ``name`` is relative."""

    name: str
    source: Path | bytes
    executable: bool = False

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes as a stream; links are followed."""
        if isinstance(self.source, bytes):
            yield io.BytesIO(self.source)
        else:
            with self.source.open("rb") as file:
                yield file

    def sha256(self) -> str:
        """SHA-256 of the bytes."""
        hashed = hashlib.sha256()
        with self.open() as stream:
            while piece := stream.read(PIECE):
                hashed.update(piece)
        return hashed.hexdigest()


@dataclass(frozen=True)
class Stored:
    """One file found in an archive: ``offset`` is where its bytes start."""

    name: str
    size: int
    offset: int
    executable: bool


def write(path: Path, folder: str, members: Iterable[Member], time: int) -> None:
    """Write the members, in their order, below ``folder`` with the same modification time."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for member in members:
            if not safe(member.name):
                raise InputError(
                    f"{member.name}: cannot be archived: it lies outside of the checkout"
                )
            size = member.size
            file.write(_header(f"{folder}/{member.name}", size, member.executable, time))
            with member.open() as stream:
                written = _copy(stream, file)
            if written != size:
                raise InputError(f"{member.name}: changed while it was archived")
            file.write(bytes(-size % BLOCK))
        file.write(bytes(2 * BLOCK))
        file.write(bytes(-file.tell() % RECORD))


def _copy(source: BinaryIO, target: BinaryIO) -> int:
    count = 0
    while piece := source.read(PIECE):
        count += target.write(piece)
    return count


def _header(name: str, size: int, executable: bool, time: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, time, MODES[executable]
    try:
        return entry.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except (ValueError, UnicodeEncodeError) as error:
        raise InputError(f"{name}: cannot be archived: {error}") from None


class Archive:
    """An archive opened for reading; nothing in it is believed before it is checked."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._size = path.stat().st_size
        self.folder = ""
        self.time = 0
        self.members = {member.name: member for member in self._members()}

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Archive"]:
        """Open and index an archive; raises NotAnArchive, or InputError where it cannot be read."""
        try:
            with path.open("rb") as file:
                yield cls(path, file)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None

    def _members(self) -> Iterator[Stored]:
        before = ""
        while any(head := self._block()):
            member = self._member(head)
            if (member.name == FIRST) != (not before) or (
                before not in ("", FIRST) and (member.name <= before)
            ):
                raise self._wrong("its files are not in order")
            before = member.name
            yield member
            self._file.seek(member.offset + member.size)
            if any(self._exactly(-member.size % BLOCK)):
                raise self._wrong(f"damaged after {member.name}")
        if not before:
            raise self._wrong("not an archive of descentflow")
        rest = self._exactly(-self._file.tell() % RECORD or RECORD)
        if any(rest) or self._file.tell() != self._size:
            raise self._wrong("damaged or continued after its end")

    def _member(self, head: bytes) -> Stored:
        """The member that a header describes; the header must be the one we would have written."""
        where = self._file.tell() - BLOCK
        try:
            found = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
            executable = found.mode == MODES[True]
            ours = _header(found.name, found.size, executable, int(found.mtime))
        except (tarfile.TarError, ValueError, OverflowError):
            ours = b""
        if ours != head or found.size < 0:
            what = "not an archive of descentflow" if not where else f"damaged at byte {where}"
            raise self._wrong(what)
        folder, _, name = found.name.partition("/")
        self.folder, self.time = self.folder or folder, self.time if where else int(found.mtime)
        parts = PurePosixPath(name).parts
        if folder != self.folder or folder in ("", ".", "..") or not safe(name) or not parts:
            raise self._wrong(f"holds the file {found.name!r}, which lies outside its folder")
        if int(found.mtime) != self.time:
            raise self._wrong(f"damaged at byte {where}")
        if found.size > self._size - self._file.tell():
            raise self._wrong(f"cut off: {name} claims {found.size} bytes")
        return Stored(name, found.size, self._file.tell(), executable)

    def _block(self) -> bytes:
        return self._exactly(BLOCK)

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            what = "cut off" if self._size > BLOCK else "not an archive of descentflow"
            raise self._wrong(what)
        return data

    def _wrong(self, what: str) -> NotAnArchive:
        return NotAnArchive(f"{self._path}: {what}")

    def pieces(self, member: Stored) -> Iterator[bytes]:
        """A member's bytes, a piece at a time."""
        self._file.seek(member.offset)
        left = member.size
        while left:
            piece = self._file.read(min(left, PIECE))
            if not piece:
                raise self._wrong("cut off")
            left -= len(piece)
            yield piece

    def sha256(self, member: Stored) -> str:
        """SHA-256 of a member."""
        hashed = hashlib.sha256()
        for piece in self.pieces(member):
            hashed.update(piece)
        return hashed.hexdigest()

    def text(self, name: str, limit: int = 1 << 28) -> str:
        """A member as text; raises NotAnArchive where it is missing, too long or no text."""
        member = self.members.get(name)
        if member is None or member.size > limit:
            raise self._wrong(f"has no usable {name}")
        try:
            return b"".join(self.pieces(member)).decode()
        except UnicodeDecodeError:
            raise self._wrong(f"{name} is not text") from None

    def extract(self, target: Path) -> None:
        """Write all members below ``target``, an empty folder of ours."""
        for member in self.members.values():
            path = target.joinpath(*PurePosixPath(member.name).parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                for piece in self.pieces(member):
                    file.write(piece)
            path.chmod(MODES[member.executable])


FIRST = "SHA256SUMS"
"""The member that comes before all others, which are sorted by name."""


def safe(name: str) -> bool:
    """Whether a member's name stays below the folder it is unpacked in, on every system."""
    parts = name.split("/")
    odd = any(character < " " or character in '\\:*?"<>|\x7f' for character in name)
    return not odd and not any(part in ("", ".", "..") for part in parts)

"""One form only: what is written is read back, and nothing else is read."""

import hashlib
import io
import random
import tarfile
from pathlib import Path

import pytest

from descentflow.archive import bundle
from descentflow.archive.bundle import FIRST, Archive, Member, NotAnArchive
from descentflow.archive.verify import against_list
from descentflow.errors import InputError

TIME = 1_700_000_000
CONTENTS = {
    "a/b.txt": b"hello",
    "a/empty": b"",
    "run.sh": b"#!/bin/sh\n",
    "z": bytes(range(256)) * 5,
}


def members() -> list[Member]:
    listed = "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in CONTENTS.items())
    files = [Member(name, data, name.endswith(".sh")) for name, data in CONTENTS.items()]
    return [Member(FIRST, listed.encode()), *files]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A small archive."""
    bundle.write(tmp_path / "x.tar", "top", members(), TIME)
    return tmp_path / "x.tar"


def test_what_is_written_is_read(path: Path, tmp_path: Path) -> None:
    with Archive.open(path) as archive:
        assert list(archive.members) == [FIRST, *CONTENTS]
        assert (archive.folder, archive.time) == ("top", TIME)
        folder = archive.extract(tmp_path / "new", archive.members)
    assert {name: (folder / name).read_bytes() for name in CONTENTS} == CONTENTS
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (folder / "z").stat().st_mode & 0o777 == 0o644
    assert problems(path) == []


def test_tar_reads_it_too(path: Path) -> None:
    with tarfile.open(path, "r:") as tar:
        names = [entry.name for entry in tar]
        assert names == [f"top/{member.name}" for member in members()]
        assert {(e.uid, e.gid, e.uname, e.mtime) for e in tar} == {(0, 0, "", TIME)}


def test_files_and_bytes_are_the_same(path: Path, tmp_path: Path) -> None:
    """Also through a link, as cached outputs are."""
    again = []
    for number, member in enumerate(members()):
        assert isinstance(member.source, bytes)
        (tmp_path / f"real{number}").write_bytes(member.source)
        (tmp_path / f"link{number}").symlink_to(tmp_path / f"real{number}")
        again.append(Member(member.name, tmp_path / f"link{number}", member.executable))
    bundle.write(tmp_path / "y.tar", "top", again, TIME)
    assert (tmp_path / "y.tar").read_bytes() == path.read_bytes()


def problems(path: Path) -> list[str]:
    """What is wrong with the bytes of an archive."""
    with Archive.open(path) as archive:
        digests = {name: archive.sha256(name) for name in archive.members if name != FIRST}
        found = list(against_list(archive, digests))
        same = archive.rewritten() == hashlib.sha256(path.read_bytes()).hexdigest()
        return found if same else [*found, "altered: bytes between the files"]


def refused(path: Path) -> bool:
    """Whether the archive cannot be taken apart, or one of its bytes is found to be wrong."""
    try:
        return bool(problems(path))
    except NotAnArchive as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017
        return True


def outside_contents(path: Path) -> list[int]:
    """The places of all bytes that are not of a member."""
    with Archive.open(path) as archive:
        inside = {
            place
            for member in archive.members.values()
            for place in range(member.offset_data, member.offset_data + member.size)
        }
    return [place for place in range(path.stat().st_size) if place not in inside]


def test_every_byte_outside_of_contents_counts(path: Path) -> None:
    """Headers, padding and the end: any other value is found."""
    original = path.read_bytes()
    chosen = random.Random(1)
    places = outside_contents(path)
    for place in [*places[:512], *chosen.sample(places, 400), places[-1]]:
        damaged = bytearray(original)
        damaged[place] ^= 1 << chosen.randrange(8)
        path.write_bytes(damaged)
        assert refused(path), place


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 1024, 1500, 5000, -1, -512, -1024])
def test_cut_off(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    assert refused(path)


def test_continued(path: Path) -> None:
    for tail in (b"\0", bytes(10240), b"x" * 512):
        original = path.read_bytes()
        path.write_bytes(original + tail)
        assert refused(path)
        path.write_bytes(original)


def tar_of(path: Path, *entries: tarfile.TarInfo, form: int = tarfile.USTAR_FORMAT) -> None:
    first = tarfile.TarInfo(f"top/{FIRST}")
    first.mtime = TIME
    with tarfile.open(path, "w:", format=form) as tar:
        for entry in (first, *entries):
            entry.mtime = TIME
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))


@pytest.mark.parametrize(
    "name",
    ["../evil", "top/../evil", "/evil", "top/../../evil", "other/x", "top/a//b", "top", "top/",
     "top/a\\b", "top/./x", "top/c:x", "top/a\nb", "evil"],
)  # fmt: skip
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    tar_of(tmp_path / "x.tar", tarfile.TarInfo(name))
    with pytest.raises(NotAnArchive), Archive.open(tmp_path / "x.tar"):
        pass


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_only_plain_files(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("top/x")
    entry.type, entry.linkname = kind, "/etc/passwd" if kind != tarfile.DIRTYPE else ""
    tar_of(tmp_path / "x.tar", entry)
    with pytest.raises(NotAnArchive), Archive.open(tmp_path / "x.tar"):
        pass


def test_claims_of_size(tmp_path: Path) -> None:
    """A header that promises 8 GB is refused before anything is read."""
    entry = tarfile.TarInfo("top/x")
    entry.size, entry.mtime = 8**11 - 1, TIME
    first = tarfile.TarInfo(f"top/{FIRST}")
    first.mtime = TIME
    heads = [e.tobuf(tarfile.USTAR_FORMAT) for e in (first, entry)]
    (tmp_path / "x.tar").write_bytes(b"".join(heads) + bytes(10240))
    with pytest.raises(NotAnArchive, match="cut off"), Archive.open(tmp_path / "x.tar"):
        pass


def test_sparse_files_are_no_plain_files(tmp_path: Path) -> None:
    """Such a member may claim to be larger than any disk."""
    entry = tarfile.TarInfo("top/x")
    entry.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**15)}
    tar_of(tmp_path / "x.tar", entry, form=tarfile.PAX_FORMAT)
    with pytest.raises(NotAnArchive, match="no plain file"), Archive.open(tmp_path / "x.tar"):
        pass


def test_another_form_of_the_same_files_is_found(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("top/x")
    entry.pax_headers = {"comment": "hidden"}
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        tar_of(tmp_path / "x.tar", entry, form=form)
        assert "altered: bytes between the files" in problems(tmp_path / "x.tar")


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for data in (b"", b"PK\x03\x04" + bytes(2000), b"\x1f\x8b" + bytes(600), bytes(10240)):
        path.write_bytes(data)
        with pytest.raises(NotAnArchive, match="not an archive of descentflow"), Archive.open(path):
            pass
    for place in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="cannot be read"), Archive.open(place):
            pass


def test_order_counts(tmp_path: Path) -> None:
    for order in ([1, 0, 2, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2], [0, 1, 2, 0], [1, 2], []):
        bundle.write(tmp_path / "x.tar", "top", [members()[n] for n in order], TIME)
        with (
            pytest.raises(NotAnArchive, match=r"not in order|not an archive"),
            Archive.open(tmp_path / "x.tar"),
        ):
            pass


@pytest.mark.parametrize(
    ("one", "other"), [("caf\u00e9", "cafe\u0301"), ("README", "readme"), ("\ufb01", "fi")]
)
def test_names_that_some_systems_take_for_one(tmp_path: Path, one: str, other: str) -> None:
    """Unpacked on another system, one file would replace the other."""
    first, *names = members()[0], *sorted([one, other])
    with pytest.raises(InputError, match="rename one"):
        bundle.write(tmp_path / "x.tar", "top", [first, *(Member(n, b"") for n in names)], TIME)
    tar_of(tmp_path / "x.tar", *(tarfile.TarInfo(f"top/{name}") for name in names))
    with pytest.raises(NotAnArchive, match="tell apart"), Archive.open(tmp_path / "x.tar"):
        pass


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be archived"):
        bundle.write(tmp_path / "x.tar", "top", [Member("n" * 200, b"")], TIME)
    for name in ("../x", "/x", "a//b", ""):
        with pytest.raises(InputError, match="outside of the checkout"):
            bundle.write(tmp_path / "x.tar", "top", [Member(name, b"")], TIME)
    assert list(tmp_path.iterdir()) == []

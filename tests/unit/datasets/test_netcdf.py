"""Files that arrive whole, say what they are, and are checked when read."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from descentflow import __version__
from descentflow.datasets import netcdf
from descentflow.datasets.whole_file import atomic_path
from descentflow.errors import CannotWrite, DamagedFile
from descentflow.planning.identity import canonical, identity

RNG_SEED = 5
QUIET = settings(deadline=None, derandomize=True, database=None)
SPEC = {"network": {"hidden": 3}, "seed": 1}


def example() -> xr.Dataset:
    """A dataset with every kind of value that the stages write."""
    rng = np.random.default_rng(RNG_SEED)
    odd = np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308])
    return xr.Dataset(
        {
            "risk": (("run", "step"), rng.normal(size=(3, 7)), {"long_name": "L", "units": "1"}),
            "odd": (("step",), odd),
            "status": (
                ("run",),
                np.array([0, 1, -1], dtype=np.int8),
                {"flag_values": np.arange(2, dtype=np.int8), "flag_meanings": "a b"},
            ),
            "count": ((), np.int64(2**53 + 1)),
            "empty": (("none",), np.empty(0)),
        },
        coords={
            "name": (("run",), ["a", "", "ξ ≤ ½"]),
            "step": (("step",), np.arange(7) * 10),
        },
        attrs={"references": "arXiv:0000.00000", "second_moment": 1 / 3},
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The example as a file."""
    path = tmp_path / "example.nc"
    netcdf.write(example(), path, SPEC, "An example")
    return path


def same_values(left: xr.Dataset, right: xr.Dataset) -> None:
    """Names, dimensions, types, attributes of variables, and the bits of all numbers."""
    assert set(left.variables) == set(right.variables)
    for name in left.variables:
        a, b = left.variables[name], right.variables[name]
        assert a.dims == b.dims
        assert a.dtype.kind == b.dtype.kind
        if a.dtype.kind != "U":
            assert a.dtype == b.dtype
            assert a.values.tobytes() == b.values.tobytes(), name
        assert a.values.tolist() == b.values.tolist() or np.isnan(a.values).any()
        assert {k: np.asarray(v).tolist() for k, v in a.attrs.items()} == {
            k: np.asarray(v).tolist() for k, v in b.attrs.items()
        }


# ---- canonical JSON


def test_canonical_json_forgets_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": {"d": 2, "c": 3}}) == '{"a":{"c":3,"d":2},"b":1}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"a": -float("inf")}]])
def test_canonical_json_has_finite_numbers_only(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


@QUIET
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_canonical_json_keeps_every_double(number: float) -> None:
    assert json.loads(canonical(number)).hex() == number.hex()


def test_identities() -> None:
    """Twelve hexadecimal digits that follow the content alone."""
    one = identity({"a": 1, "b": [0.1]})
    assert len(one) == 12
    assert int(one, 16) >= 0
    assert identity({"b": [0.1], "a": 1}) == one
    others = [{"a": 2, "b": [0.1]}, {"a": 1, "b": 0.1}, {"a": "1", "b": [0.1]}, {"a": 1}]
    assert len({one, *map(identity, others)}) == 5


# ---- round trip


def test_what_is_written_is_read(file: Path) -> None:
    """Bit by bit, nan payloads and signed zeros included."""
    same_values(example(), netcdf.read(file))


def test_files_say_what_they_are(file: Path) -> None:
    attributes = netcdf.read(file).attrs
    assert attributes["Conventions"] == "CF-1.11"
    assert attributes["title"] == "An example"
    assert attributes["descentflow_version"] == __version__
    assert json.loads(attributes["spec"]) == SPEC
    assert attributes["references"] == "arXiv:0000.00000"
    assert attributes["second_moment"] == 1 / 3
    assert len(attributes[netcdf.DIGEST]) == 64


def test_writing_leaves_the_dataset_alone(tmp_path: Path) -> None:
    dataset = example()
    netcdf.write(dataset, tmp_path / "a.nc", SPEC, "An example")
    assert dataset.identical(example())


def test_the_same_dataset_is_the_same_bytes(file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.nc"
    netcdf.write(example(), again, dict(reversed(SPEC.items())), "An example")
    assert again.read_bytes() == file.read_bytes()


def test_what_was_read_can_be_written_again(file: Path, tmp_path: Path) -> None:
    """A dataset that went through a file is still the same dataset."""
    again = tmp_path / "again.nc"
    netcdf.write(netcdf.read(file), again, SPEC, "An example")
    same_values(netcdf.read(file), netcdf.read(again))
    assert netcdf.read(again).attrs[netcdf.DIGEST] == netcdf.read(file).attrs[netcdf.DIGEST]


ATTRIBUTES: dict[str, Any] = {
    "text": "ξ",
    "empty": "",
    "number": 0.1,
    "whole": 3,
    "numbers": np.array([0.1, 0.2]),
    "one-number": np.array([3], dtype=np.int8),
    "one-number-list": [1.5],
}


@pytest.mark.parametrize("value", ATTRIBUTES.values(), ids=ATTRIBUTES.keys())
def test_attributes_come_back(tmp_path: Path, value: object) -> None:
    """Also a list of one, such as ``flag_values`` of a single flag, which netCDF gives as a number."""
    path = tmp_path / "a.nc"
    dataset = xr.Dataset({"a": ("x", np.arange(3.0), {"key": value})}, attrs={"key": value})
    netcdf.write(dataset, path, {}, "t")
    read = netcdf.read(path)
    for attributes in (read.attrs, read["a"].attrs):
        assert np.ravel(attributes["key"]).tolist() == np.ravel(np.asarray(value)).tolist()


# ---- digests


ENCODINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "compressed": {"zlib": True, "complevel": 9, "shuffle": True},
    "chunked": {"chunksizes": (1, 2)},
    "checksummed": {"fletcher32": True},
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_digests_do_not_depend_on_the_encoding(
    file: Path, tmp_path: Path, encoding: dict[str, Any]
) -> None:
    """The same content in a file written by other means reads as the same."""
    dataset = netcdf.read(file)
    path = tmp_path / "other.nc"
    encodings: dict[str, Any] = {str(name): {"_FillValue": None} for name in dataset.variables}
    encodings["risk"] = {"_FillValue": None, **encoding}
    dataset.to_netcdf(path, engine="netcdf4", encoding=encodings)
    assert path.read_bytes() != file.read_bytes()
    same_values(netcdf.read(path), dataset)


def test_digests_do_not_depend_on_layout_and_order() -> None:
    """Fortran order, strided views and the order of variables and attributes leave no trace."""
    dataset, other = example(), example()[["status", "risk", "odd", "empty", "count"]]
    other["risk"] = (("run", "step"), np.asfortranarray(other["risk"].values), other["risk"].attrs)
    other["odd"] = (("step",), np.repeat(other["odd"].values, 2)[::2])
    other.attrs = dict(reversed(other.attrs.items()))
    assert netcdf.content_digest(other) == netcdf.content_digest(dataset)


def bits(values: NDArray[np.float64], row: int) -> NDArray[np.float64]:
    """The same numbers but for the last bit of one."""
    changed = values.copy()
    changed.view(np.uint64).reshape(-1)[row] ^= np.uint64(1)
    return changed


CHANGES: dict[str, Any] = {
    "a bit": lambda d: d.assign(risk=(d["risk"].dims, bits(d["risk"].values, 4), d["risk"].attrs)),
    "nan payload": lambda d: d.assign(odd=(("step",), bits(d["odd"].values, 0))),
    "zero's sign": lambda d: d.assign(odd=(("step",), d["odd"].values + 0.0)),
    "text": lambda d: d.assign_coords(name=("run", ["a", "", "ξ ≤ 1"])),
    "dtype": lambda d: d.assign(count=((), np.int32(2))),
    "variable's name": lambda d: d.rename(odd="even"),
    "dimension's name": lambda d: d.rename_dims(none="nobody"),
    "order of dimensions": lambda d: d.assign(risk=d["risk"].transpose()),
    "attribute": lambda d: d.assign_attrs(references="arXiv:0000.00001"),
    "attribute of a variable": lambda d: d.assign(risk=d["risk"].assign_attrs(units="m")),
    "left out": lambda d: d.drop_vars("count"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_digests_follow_the_content(change: Any) -> None:
    assert netcdf.content_digest(change(example())) != netcdf.content_digest(example())


# ---- damage


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.99])
def test_truncated_files_are_named(file: Path, share: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DamagedFile, match=r"example\.nc"):
        netcdf.read(file)


def test_flipped_bits_are_never_read_as_data(file: Path) -> None:
    """At many places of the file: refused, or in a gap between the contents."""
    data, sound = file.read_bytes(), netcdf.read(file)
    refused = 0
    for number, place in enumerate(range(0, len(data), max(1, len(data) // 150))):
        changed = bytearray(data)
        changed[place] ^= 1 << number % 8
        file.write_bytes(changed)
        with suppress(DamagedFile):
            same_values(netcdf.read(file), sound)
            continue
        refused += 1
        with pytest.raises(DamagedFile, match=r"example\.nc"):
            netcdf.read(file)
    assert refused > 0


def test_a_changed_number_is_noticed(file: Path) -> None:
    """One that lies in the file as it is, and so needs no luck to be hit."""
    data = bytearray(file.read_bytes())
    place = data.find(example()["odd"].values.tobytes())
    assert place > 0
    data[place + 8 * 6] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamagedFile, match=r"example\.nc.*digest"):
        netcdf.read(file)


def test_changes_by_other_programs_are_noticed(file: Path) -> None:
    """An attribute edited in a file that is well formed."""
    dataset = netcdf.read(file)
    dataset.attrs["spec"] = "{}"
    dataset.to_netcdf(file, engine="netcdf4")
    with pytest.raises(DamagedFile, match=r"example\.nc.*digest"):
        netcdf.read(file)


def test_foreign_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "foreign.nc"
    example().to_netcdf(path, engine="netcdf4")
    with pytest.raises(DamagedFile, match=r"foreign\.nc.*not written by descentflow"):
        netcdf.read(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=r"missing\.nc"):
        netcdf.read(tmp_path / "missing.nc")


@pytest.mark.parametrize("content", [b"", b"step,risk\n", b"\x89HDF\r\n\x1a\n", b"CDF\x01"])
def test_files_that_are_no_netcdf_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.nc"
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"text\.nc"):
        netcdf.read(path)


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=tmp_path.name):
        netcdf.read(tmp_path)


# ---- writing whole files


def test_a_failing_write_leaves_nothing(tmp_path: Path) -> None:
    """Values that netCDF cannot hold; folders above are made, files are not."""
    path = tmp_path / "deep" / "a.nc"
    dataset = example().assign(bad=("run", np.array([1 + 2j, 0, 0])))
    with pytest.raises(ValueError, match="complex"):
        netcdf.write(dataset, path, SPEC, "t")
    assert list(path.parent.iterdir()) == []


def test_a_failing_write_keeps_what_was_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a file."""
    before = file.read_bytes()

    def fail(_self: xr.Dataset, path: Path, **_options: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(CannotWrite, match="No space"):
        netcdf.write(example(), file, SPEC, "t")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_files_appear_when_they_are_whole(tmp_path: Path) -> None:
    """Beside their place, under a name that does not end like a result."""
    path = tmp_path / "new" / "a.csv"
    with atomic_path(path) as temporary:
        assert not path.exists()
        assert temporary.parent == path.parent
        assert temporary.suffix == ".part"
        temporary.write_text("done")
    assert path.read_text() == "done"
    assert list(path.parent.iterdir()) == [path]


def test_interruptions_leave_nothing(tmp_path: Path) -> None:
    """Ctrl-C in the middle."""

    def interrupted() -> None:
        with atomic_path(tmp_path / "a.csv") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_the_same_file_are_swept(tmp_path: Path) -> None:
    """Of killed attempts at this file; what others may be writing stays."""
    stale, other = tmp_path / ".a.nc.01234567.part", tmp_path / ".b.nc.01234567.part"
    for path in (stale, other):
        path.write_bytes(b"half")
    netcdf.write(example(), tmp_path / "a.nc", SPEC, "t")
    assert not stale.exists()
    assert other.exists()


def test_two_writers_use_two_temporary_files(tmp_path: Path) -> None:
    """Names do not repeat, so that attempts on two machines cannot mix."""
    names = set()
    for _ in range(20):
        with atomic_path(tmp_path / "a.csv") as temporary:
            names.add(temporary.name)
            temporary.touch()
    assert len(names) == 20


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nc")
    with pytest.raises(DamagedFile, match=r"pipe\.nc: not a file"):
        netcdf.read(tmp_path / "pipe.nc")

"""An archive of the small results: built twice, altered, checked, refused."""

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_results as small
from rocrate.rocrate import ROCrate

from descentflow import cli
from descentflow.archive import bundle, checkout, crate, manifest, recompute, verify
from descentflow.archive.build import ArchiveSummary, build, listing
from descentflow.archive.bundle import FIRST, Archive, Member
from descentflow.archive.verify import check
from descentflow.errors import InputError

DATASET = "results/datasets/random_initializations.nc"
LIST = "results/digests/judge.sha256"


def built(root: Path, name: str = "x.tar") -> ArchiveSummary:
    return build(small.jobs(root), "config.yaml", root.parent / name, root)


def rebuilt(path: Path, change: Callable[[dict[str, bytes]], Any]) -> Path:
    """The archive with other contents, its form and order kept."""
    with Archive.open(path) as archive:
        folder = archive.extract(path.with_name("to change"), archive.members)
        contents = {name: (folder / name).read_bytes() for name in archive.members}
        change(contents)
        order = sorted(contents, key=lambda name: (name != FIRST, name))
        members = [Member(name, contents[name]) for name in order]
        bundle.write(path.with_name("changed.tar"), archive.folder, members, archive.time)
    return path.with_name("changed.tar")


# ---- one archive


def test_two_builds_are_equal(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the run times, modification times, the order of the folder and the clock."""
    first = built(root)
    for path in (root / checkout.RECORDS).iterdir():
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "starttime": 5.0, "job_hash": 7}))
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    moved = root.with_name("moved")
    root.rename(moved)
    second = built(moved, "y.tar")
    assert (first.sha256, first.contents) == (second.sha256, second.contents)
    assert first.path.read_bytes() == second.path.read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert built(moved, "z.tar").sha256 != first.sha256


def test_an_unpacked_archive_makes_the_same_archive(root: Path, tmp_path: Path) -> None:
    first = built(root)
    with Archive.open(first.path) as archive:
        unpacked = archive.extract(tmp_path / "unpacked", archive.members)
    assert built(unpacked, "../y.tar").sha256 == first.sha256


def test_the_machine_is_not_in_the_contents_digest(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built(root)
    monkeypatch.setattr(
        "descentflow.archive.checkout.environment", lambda _: {"processor": "other"}
    )
    second = built(root, "y.tar")
    assert first.sha256 != second.sha256
    assert first.contents == second.contents == check(second.path).contents


def test_no_trace_of_place_and_time(root: Path) -> None:
    data = built(root).path.read_bytes()
    assert str(root).encode() not in data
    assert os.uname().nodename.encode() not in data or len(os.uname().nodename) < 6
    with Archive.open(root.parent / "x.tar") as archive:
        kept = [name for name in archive.members if name.startswith(checkout.RECORDS)]
        assert len(kept) == (2 + 1) + 3 + (18 + 1) + (1 + 1) + (7 + 1)
        assert all(json.loads(archive.text(name))["endtime"] == 0.0 for name in kept)


def test_links_of_a_cache_are_followed(root: Path) -> None:
    first = built(root)
    shutil.move(root / DATASET, root.parent / "cached.nc")
    (root / DATASET).symlink_to(root.parent / "cached.nc")
    assert built(root, "y.tar").sha256 == first.sha256


def test_sources_are_those_git_tracks(root: Path) -> None:
    (root / "secret.txt").write_text("mine")
    assert "secret.txt" in checkout.sources(root, ("results", "figures"))
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    os.system(f"git init -q {root}")
    with pytest.raises(InputError, match="git cannot list"):
        checkout.sources(root, ("results",))
    os.system(f"git -C {root} add config.yaml CITATION.cff")
    assert checkout.sources(root, ("results",)) == ["CITATION.cff", "config.yaml"]
    (root / "out").symlink_to("/etc/hostname")
    os.system(f"git -C {root} add out")
    with pytest.raises(InputError, match="link to outside"):
        checkout.sources(root, ("results",))


# ---- results that may not be archived


def changed_record(root: Path, output: str, **changes: Any) -> None:
    path = root / checkout.record_name(output)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def extended(root: Path) -> None:
    """Let the configuration extend a file outside of the sources."""
    (root.parent / "base.yaml").write_text("{}")
    (root / "config.yaml").write_text(json.dumps({"extends": "../base.yaml", **small.CONFIG}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: (root / DATASET).unlink(), "missing"),
        (lambda root: (root / DATASET).write_bytes(b"no"), "not a readable netCDF"),
        (lambda root: (root / checkout.record_name(DATASET)).unlink(), "no record"),
        (lambda root: (root / checkout.record_name(DATASET)).write_text("{"), "no record"),
        (lambda root: changed_record(root, DATASET, incomplete=True), "incomplete"),
        (lambda root: changed_record(root, DATASET, params=["'{}'"]), "another configuration"),
        (lambda root: changed_record(root, DATASET, input_checksums={"a": "b"}), "another a"),
        (lambda root: small.claims(root / "results/claims.csv", "9"), "claims.csv: altered since"),
        (lambda root: (root / LIST).write_text("x"), "judge.sha256: altered since"),
        (lambda root: (root / "results/claims.html").write_text("<p>other</p>"), "altered since"),
        (lambda root: (root / "workflow/Snakefile").unlink(), "not among the sources"),
        (lambda root: extended(root), r"\.\./base\.yaml: not among the sources"),
        (lambda root: (root / "CITATION.cff").write_text("a: ["), "cannot be read"),
        (lambda root: (root / "CITATION.cff").write_text("a: 1"), "not a date"),
    ],
)
def test_what_is_not_finished_is_refused(
    root: Path, change: Callable[[Path], Any], message: str
) -> None:
    change(root)
    with pytest.raises(InputError, match=message) as refusal:
        built(root)
    assert "\n" not in str(refusal.value)
    assert not (root.parent / "x.tar").exists()


def test_a_manifest_of_other_results_is_refused(root: Path) -> None:
    path = root / checkout.MANIFEST
    manifest.write(manifest.describe(small.jobs(root), root), path)
    with Archive.open(built(root).path) as archive:
        assert archive.text(checkout.MANIFEST) == path.read_text()
    told = manifest.read(path)
    told["artefacts"]["claims.csv"]["sha256"] = "0" * 64
    manifest.write(told, path)
    with pytest.raises(InputError, match="not what it tells"):
        built(root)


# ---- altered archives


def problems(path: Path) -> list[str]:
    """Problems of an archive, also where it cannot be taken apart."""
    try:
        return check(path).problems
    except bundle.NotAnArchive as refusal:
        return str(refusal).split("\n")


def test_a_flipped_byte_is_found_anywhere(root: Path) -> None:
    path = built(root).path
    original = path.read_bytes()
    chosen = random.Random(6)
    for place in (
        0,
        3,
        520,
        len(original) - 1,
        *(chosen.randrange(len(original)) for _ in range(25)),
    ):
        damaged = bytearray(original)
        damaged[place] ^= 1 << chosen.randrange(8)
        path.write_bytes(damaged)
        assert problems(path), place


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.update({DATASET: b"other"}), f"altered: {DATASET}"),
        (lambda c: c.pop(DATASET), f"missing: {DATASET}"),
        (lambda c: c.update({"new": b""}), "added: new"),
        (lambda c: c.update({FIRST: c[FIRST] + b"x\n"}), f"altered: {FIRST}, line "),
        (lambda c: c.update({FIRST: c[FIRST][:-1]}), f"altered: {FIRST}"),
        (lambda c: c.update({FIRST: c[FIRST] + c[FIRST]}), f"altered: {FIRST}"),
    ],
)
def test_what_was_altered_is_named(
    root: Path, change: Callable[[dict[str, bytes]], Any], problem: str
) -> None:
    found = check(rebuilt(built(root).path, change))
    assert any(line.startswith(problem) for line in found.problems), found.problems


def relisted(contents: dict[str, bytes]) -> None:
    digests = {n: hashlib.sha256(data).hexdigest() for n, data in contents.items() if n != FIRST}
    contents[FIRST] = listing(digests).encode()


def test_the_crate_tells_digests_a_second_time(root: Path) -> None:
    """Who changes a file and the list must change the crate as well, and with it the file's digest."""

    def change(contents: dict[str, bytes]) -> None:
        contents[DATASET] = b"other"
        relisted(contents)

    found = check(rebuilt(built(root).path, change))
    assert found.problems[0] == f"altered: {DATASET} (not as {crate.NAME} tells)"
    for text in (b"", b"[]", b'{"@graph": 1}', b"[" * 100_000, b'{"@graph": [1, {"sha256": 2}]}'):

        def spoil(contents: dict[str, bytes], text: bytes = text) -> None:
            contents[crate.NAME] = text
            relisted(contents)

        found = check(rebuilt(built(root).path, spoil))
        assert found.problems[0] == f"altered: {crate.NAME} (not a crate's metadata)"


def replaced(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    """A change of one file, told in the list, but not in the crate."""

    def change(contents: dict[str, bytes]) -> None:
        assert old in contents[name]
        contents[name] = contents[name].replace(old, new)
        relisted(contents)

    return change


def without(*names: str) -> Callable[[dict[str, bytes]], None]:
    """Files left out, and the list of those that are left."""

    def change(contents: dict[str, bytes]) -> None:
        for name in names or set(contents) - {FIRST}:
            del contents[name]
        relisted(contents)

    return change


def with_(**contents_: bytes) -> Callable[[dict[str, bytes]], None]:
    """Further files, told in the list."""

    def change(contents: dict[str, bytes]) -> None:
        contents.update({name.replace("__", "/"): data for name, data in contents_.items()})
        relisted(contents)

    return change


EMPTY = b'{"@graph": []}'


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without(), "missing: archive.json"),
        (without(crate.NAME), f"missing: {crate.NAME}"),
        (without("environment.json"), "missing: environment.json"),
        (without("config.yaml"), "missing: config.yaml"),
        (without(crate.WORKFLOW), f"missing: {crate.WORKFLOW}"),
        (without(DATASET), f"missing: {DATASET}"),
        (without(LIST), f"missing: {LIST}"),
        (without(checkout.record_name(DATASET)), f"missing: {checkout.record_name(DATASET)}"),
        (with_(results__more=b""), "added: results/more (no job makes it)"),
        (with_(**{crate.NAME: EMPTY}), f"altered: {crate.NAME} (not what is written"),
        (replaced(crate.NAME, b"CreateAction", b"DeleteAction"), f"altered: {crate.NAME} (not"),
        (
            replaced("results/claims.csv", b",holds\n", b",fails\n"),
            f"altered: results/claims.csv (not as {LIST}",
        ),
        (replaced("archive.json", b'"config.yaml"', b'"../x"'), "altered: archive.json: not"),
        (
            replaced("archive.json", b'"executable": []', b'"executable": ["x"]'),
            "altered: archive.js",
        ),
        (replaced("archive.json", b'"format": 2', b'"format": 3'), "altered: archive.json"),
        (replaced("config.yaml", b'"seed": 1', b'"seed": 2'), "missing: results/"),
        (replaced("config.yaml", b'"seed": 1', b'"seed": -1'), "altered: config.yaml: seed"),
    ],
)
def test_what_the_writer_would_not_write_is_found(
    root: Path, change: Callable[[dict[str, bytes]], Any], problem: str
) -> None:
    """All digests of the list are right; something is missing, too many or of another form."""
    found = check(rebuilt(built(root).path, change))
    assert any(line.startswith(problem) for line in found.problems), found.problems


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"mode": 0o755}, "altered: archive.json, or modes and times"),
        ({"time": 1_000_000_000}, "altered: archive.json, or modes and times"),
        ({"folder": "descentflow-9"}, "altered: the folder's name, descentflow-9"),
    ],
)
def test_headers_are_those_of_the_content(root: Path, change: dict[str, Any], problem: str) -> None:
    path = built(root).path
    with Archive.open(path) as archive:
        folder = archive.extract(path.with_name("to change"), archive.members)
        executable = "mode" in change
        members = [Member(name, folder / name, executable) for name in archive.members]
        bundle.write(
            path, change.get("folder", archive.folder), members, change.get("time", archive.time)
        )
    assert any(line.startswith(problem) for line in check(path).problems)


def test_foreign_text_reaches_the_terminal_escaped(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names in a list and in a crate; a lone surrogate is no traceback either."""
    graph = [{"@id": "\x1b[2J\u202e", "sha256": "0"}, {"@id": "\udcff", "sha256": "0"}]

    def change(contents: dict[str, bytes]) -> None:
        contents[crate.NAME] = json.dumps({"@graph": graph}).encode()
        relisted(contents)
        contents[FIRST] += f"{'0' * 64}  \x1b]0;title\x07\n".encode()

    path = rebuilt(built(root).path, change)
    assert run(monkeypatch, "verify", path) == 1
    said = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in said)
    assert "\\x1b[2J\\u202e" in said
    assert "\\udcff" in said
    assert "missing: \\x1b]0;title\\x07" in said


# ---- the crate


def test_the_crate_is_read_and_complete(root: Path, tmp_path: Path) -> None:
    with Archive.open(built(root).path) as archive:
        unpacked = archive.extract(tmp_path / "unpacked", archive.members)
    read = ROCrate(unpacked)
    assert read.mainEntity.id == crate.WORKFLOW
    steps = [step["name"] for step in read.mainEntity["step"]]
    assert steps == ["certify", "sample", "train", "aggregate", "draw", "judge", "show_claims"]
    graph = read.get_entities()
    kinds = [entity.type for entity in graph]
    assert kinds.count("ScholarlyArticle") == 10
    assert kinds.count("CreateAction") == 1 + 7
    assert kinds.count("ControlAction") == 7
    run = read.get("#run")
    assert {entity.id for entity in run["object"]} == {"config.yaml", "envs/requirements.lock"}
    assert len(run["result"]) == 2 + 1 + 18 + 1 + 7
    assert str(read.root_dataset["datePublished"]) == "2026-11-22"
    for entity in graph:
        if "sha256" in entity.properties():
            data = (unpacked / entity.id).read_bytes()
            assert entity["sha256"] == hashlib.sha256(data).hexdigest()
            assert entity["contentSize"] == str(len(data))


def test_every_reference_of_the_crate_leads_somewhere(root: Path) -> None:
    with Archive.open(built(root).path) as archive:
        graph = json.loads(archive.text(crate.NAME))["@graph"]
    known = {entity["@id"] for entity in graph}
    assert len(known) == len(graph)

    def references(value: Any) -> list[str]:
        if isinstance(value, list):
            return [found for inner in value for found in references(inner)]
        return [value["@id"]] if isinstance(value, dict) else []

    led = {found for entity in graph for value in entity.values() for found in references(value)}
    outside = {found for found in led - known if found.startswith(("http://", "https://"))}
    assert led - known == outside


# ---- commands


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str | int | None:
    """Run ``descentflow``; what it exits with."""
    monkeypatch.setattr(sys, "argv", ["descentflow", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as exit_:
        return exit_.code
    return None


def test_commands(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert run(monkeypatch, "compare") == (
        "error: figures/MANIFEST.json: there is no manifest; `make manifest` writes one"
    )
    assert run(monkeypatch, "manifest") is None
    assert run(monkeypatch, "compare") is None
    assert "25 bytes equal, 0 content equal" in capsys.readouterr().out
    shutil.copytree(root / "results", root / "other")
    small.claims(root / "other/claims.csv", text="3")
    assert run(monkeypatch, "compare", "--results", "other", "--figures", "figures") == 1
    assert "24 bytes equal, 0 content equal, 0 within tolerance, 1 diff" in capsys.readouterr().out
    shutil.rmtree(root / "other")
    assert run(monkeypatch, "archive", "--output", "../x.tar") is None
    digest = capsys.readouterr().out.split("sha256")[1].split()[0]
    assert run(monkeypatch, "verify", "../x.tar", "--sha256", digest) is None
    assert "every digest is right" in capsys.readouterr().out
    assert run(monkeypatch, "verify", "../x.tar", "--sha256", "0" * 64) == 1
    for wrong in ("", "x" * 64, digest[:-1]):
        ended = run(monkeypatch, "verify", "../x.tar", "--sha256", wrong)
        assert ended == "error: --sha256: 64 hexadecimal digits are needed"
    changed = rebuilt(Path("../x.tar"), lambda contents: contents.update({"new": b""}))
    assert run(monkeypatch, "verify", changed, "--recompute", "random_initializations") == 1
    assert "added: new" in capsys.readouterr().out
    assert str(run(monkeypatch, "verify", "config.yaml")).startswith("error: config.yaml: ")
    assert str(run(monkeypatch, "archive", root / "config.yaml")).startswith("error: archive: ")
    unknown = run(monkeypatch, "verify", "../x.tar", "--recompute", "nothing")
    assert str(unknown).startswith("error: --recompute: the archive has no 'nothing'; studies: ")


def test_a_run_is_computed_again(root: Path) -> None:
    """The samples made by hand are not those of the seed; training from them ends elsewhere."""
    path = built(root).path
    with recompute.unpacked(path) as unpacked:
        jobs = verify.jobs_of(unpacked)
        made = recompute.jobs_behind(jobs, [jobs.runs["random_initializations"][0].id])
        assert [job.stage for job in made] == ["sample", "train"]
        assert recompute.notes(unpacked, made) == []
        with pytest.raises(InputError, match="recomputing failed"):
            list(recompute.recompute(jobs, unpacked, made[1:]))
        found = list(recompute.recompute(jobs, unpacked, made[:1]))
        assert [finding.outcome.value for finding in found] == ["different"]
        changed_record(unpacked, made[0].outputs[0], params=["'{}'"])
        assert recompute.notes(unpacked, made)[0].endswith("Python: sample")
        (unpacked / "archive.json").write_text('{"config": "../x"}')
        with pytest.raises(InputError, match="outside"):
            verify.jobs_of(unpacked)


@pytest.mark.parametrize("folder", ["../out", "/tmp/descentflow-out", "a/../../out"])
def test_nothing_is_computed_into_other_folders(root: Path, folder: str) -> None:
    """An archive may be whole and yet mean harm."""
    written = json.dumps({**small.CONFIG, "outputs": {"results": folder}}).encode()
    changed = rebuilt(built(root).path, lambda contents: contents.update({"config.yaml": written}))
    with recompute.unpacked(changed) as unpacked, pytest.raises(InputError):
        verify.jobs_of(unpacked)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "{}", '{"params": 3}', '{"params": [{}]}'])
def test_records_that_mean_harm(root: Path, text: str) -> None:
    run = small.jobs(root).runs["random_initializations"][0].id
    made = recompute.jobs_behind(small.jobs(root), [run])
    (root / checkout.record_name(made[0].outputs[0])).write_text(text)
    try:
        assert recompute.notes(root, made)
    except InputError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017

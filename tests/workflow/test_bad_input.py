"""Bad input: one message that says where, before anything starts and with nothing left behind."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from checkout import (
    REPOSITORY,
    Checkout,
    Command,
    Configuration,
    Ended,
    commands,
    experiments,
    tiny,
)

from descentflow import cli
from descentflow.errors import ConfigurationError
from descentflow.planning.jobs import Jobs
from descentflow.stages import command as command_line

CONVERGENCE = "studies.constant_targets.convergence"
SUCCESS = "studies.random_initializations.success"


def in_success(*keys: str, value: Any) -> Callable[[Configuration], None]:
    """A change of one key of the experiment ``success``."""

    def change(configuration: Configuration) -> None:
        (mapping,) = experiments(configuration, "random_initializations")
        for key in keys[:-1]:
            mapping = mapping.setdefault(key, {})
        mapping[keys[-1]] = value

    return change


def swept(key: str, values: Any) -> Callable[[Configuration], None]:
    """The experiment ``success`` with this sweep alone."""

    def change(configuration: Configuration) -> None:
        (mapping,) = experiments(configuration, "random_initializations")
        mapping["sweep"] = {key: values}
        if key != "training.step_size":
            mapping["training"].setdefault("step_size", 0.1)

    return change


def in_convergence(**given: Any) -> Callable[[Configuration], None]:
    """A change of the study ``constant_targets``, of which only ``convergence`` is kept."""

    def change(configuration: Configuration) -> None:
        study = configuration["studies"]["constant_targets"]
        configuration["studies"]["constant_targets"] = {
            "convergence": {**study["convergence"], **given}
        }

    return change


@dataclass(frozen=True)
class Bad:
    """A change, the path of the key that is wrong, and what the message must say beside it."""

    change: Callable[[Configuration], object]
    path: str
    says: tuple[str, ...]


NAN, INF = float("nan"), float("inf")
SIZE = f"{SUCCESS}.sweep.training.step_size"

BAD = {
    "unknown": Bad(in_success("colour", value=1), f"{SUCCESS}.colour", ("unknown key", "target")),
    "misspelt": Bad(
        in_success("training", "stepz", value=1),
        f"{SUCCESS}.training.stepz",
        ("unknown key", "did you mean 'steps'", "records_per_decade"),
    ),
    "misspelt-study": Bad(
        lambda c: c["studies"].update(constant_target={}),
        "studies.constant_target",
        ("did you mean 'constant_targets'", "random_initializations"),
    ),
    "misspelt-top": Bad(lambda c: c.update(sed=1), "sed", ("did you mean 'seed'", "outputs")),
    "missing": Bad(lambda c: c.pop("seed"), "seed", ("missing", "required")),
    "list-for-number": Bad(
        in_success("training", "steps", value=[1]), f"{SUCCESS}.training.steps", ("a number", "[1]")
    ),
    "boolean": Bad(
        in_success("network", "hidden", value=True), f"{SUCCESS}.network.hidden", ("a number",)
    ),
    "word-for-number": Bad(
        in_success("inputs", "high", value="wide"), f"{SUCCESS}.inputs.high", ("a number", "wide")
    ),
    "number-for-mapping": Bad(
        in_success("network", value=3), f"{SUCCESS}.network", ("a mapping", "3")
    ),
    "fraction-of-steps": Bad(
        in_success("training", "steps", value=1.5), f"{SUCCESS}.training.steps", ("whole", "1.5")
    ),
    "knots-out-of-order": Bad(
        in_success("target", "knots", value=[0, 1, 0.5]), f"{SUCCESS}.target.knots", ("0.5",)
    ),
    "knots-and-values": Bad(
        in_success("target", "knots", value=[0, 1]), f"{SUCCESS}.target", ("2", "3")
    ),
    "capitals": Bad(
        in_success("network", "activation", value="Relu"),
        f"{SUCCESS}.network.activation",
        ("did you mean 'relu'",),
    ),
    "decimal-comma": Bad(
        in_success("inputs", "high", value="1,5"), f"{SUCCESS}.inputs.high", ("decimal point",)
    ),
    "minus": Bad(in_success("inputs", "low", value="−1"), f"{SUCCESS}.inputs.low", ("minus sign",)),
    "kind": Bad(
        in_success("target", "kind", value="constan"),
        f"{SUCCESS}.target.kind",
        ("constan", "did you mean 'constant'", "piecewise_linear"),
    ),
    "negative-width": Bad(
        in_success("network", "hidden", value=-3),
        f"{SUCCESS}.network.hidden",
        ("greater than or equal to 1", "-3"),
    ),
    "step-size-0": Bad(swept("training.step_size", [0.1, 0]), f"{SIZE}[1]", ("greater than 0",)),
    "step-size-negative": Bad(swept("training.step_size", [-0.1]), f"{SIZE}[0]", ("-0.1",)),
    "step-size-word": Bad(swept("training.step_size", ["big"]), f"{SIZE}[0]", ("a number", "big")),
    "empty-sweep": Bad(swept("training.step_size", []), SIZE, ("at least one value", "[]")),
    "no-list": Bad(swept("training.step_size", 0.1), SIZE, ("a list", "0.1")),
    "unknown-swept": Bad(swept("netwerk.hidden", [1]), f"{SUCCESS}.sweep.netwerk", ("network",)),
    "misspelt-swept": Bad(
        swept("network.hiden", [1]),
        f"{SUCCESS}.sweep.network.hiden",
        ("unknown key", "did you mean 'hidden'"),
    ),
    "below-a-number": Bad(
        swept("network.hidden.deep", [1, 2]), f"{SUCCESS}.sweep.network.hidden.deep", ("hidden",)
    ),
    "fraction-below-a-number": Bad(
        lambda c: (
            in_convergence(sweep={"training.step_size.lyapunov_fraction": [0.5, 1]})(c),
            c["studies"]["constant_targets"]["convergence"]["training"].update(step_size=0.1),
        ),
        f"{CONVERGENCE}.sweep.training.step_size.lyapunov_fraction",
        ("training.step_size",),
    ),
    "swept-steps": Bad(
        swept("training.steps", [1, 2]), f"{SUCCESS}.sweep.training.steps", ("cannot be swept",)
    ),
    "too-many-runs": Bad(
        swept("network.hidden", [*range(1, 10_002)]), f"{SUCCESS}.sweep", ("10001", "10000")
    ),
    "too-many-jobs": Bad(
        in_success("initialization", value={"law": "normal", "count": 10**8, "chunk": 1}),
        f"{SUCCESS}.initialization",
        ("chunk",),
    ),
    "not-covered": Bad(
        in_success("inputs", "high", value=2), f"{SUCCESS}.target.knots", ("[0, 2]", "cover")
    ),
    "step-outside": Bad(
        in_success("target", value={"kind": "step", "at": 3}), f"{SUCCESS}.target.at", ("(0, 1)",)
    ),
    "fraction-of-another-target": Bad(
        swept("training.step_size", [0.1, {"lyapunov_fraction": 0.5}]),
        f"{SIZE}[1].lyapunov_fraction",
        ("constant", "relu or leaky_relu"),
    ),
    "study-of-another-target": Bad(
        in_convergence(
            target={"kind": "affine", "slope": 1.0}, sweep={"training.step_size": [0.1]}
        ),
        f"{CONVERGENCE}.target",
        ("constant", "affine"),
    ),
    "no-studies": Bad(lambda c: c.update(studies={}), "studies", ("no study", "constant_targets")),
    "null-studies": Bad(lambda c: c.update(studies=None), "studies", ("a mapping", "None")),
    "no-experiments": Bad(
        lambda c: c["studies"].update(constant_targets={}),
        "studies.constant_targets",
        ("no experiment", "convergence"),
    ),
    "absurd-steps": Bad(
        in_success("training", "steps", value=1e30), f"{SUCCESS}.training.steps", ("less than",)
    ),
    "absurd-width": Bad(
        in_success("network", "hidden", value=10**400), f"{SUCCESS}.network.hidden", ("65536",)
    ),
    "absurd-count": Bad(
        in_success("initialization", "count", value="1e30"),
        f"{SUCCESS}.initialization.count",
        ("less than",),
    ),
    "absurd-size": Bad(swept("training.step_size", [1e200]), f"{SIZE}[0]", ("less than",)),
    "nan": Bad(
        in_success("target", "values", value=[0, NAN, 1]),
        f"{SUCCESS}.target.values[1]",
        ("finite",),
    ),
    "nan-in-words": Bad(
        in_success("initialization", "scale", value="nan"),
        f"{SUCCESS}.initialization.scale",
        ("finite",),
    ),
    "infinite-interval": Bad(
        in_success("inputs", "high", value=INF), f"{SUCCESS}.inputs.high", ("finite",)
    ),
    "infinite-step-size": Bad(swept("training.step_size", [INF]), f"{SIZE}[0]", ("finite",)),
    "infinite-seed": Bad(lambda c: c.update(seed=-INF), "seed", ("finite",)),
    "empty-folder": Bad(
        lambda c: c.update(outputs={"results": ""}), "outputs.results", ("at least 1",)
    ),
}

LINE = re.compile(r"(\(top level\)|\w+)[\w.\[\]]*: \S")


def about(message: str, bad: Bad) -> list[str]:
    """The lines of a message about the key that is wrong."""
    return [line for line in message.splitlines() if line.startswith(bad.path)]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_configurations_are_refused(bad: Bad) -> None:
    """With the key's path and what is allowed, each line a path and a text for people."""
    configuration = tiny()
    bad.change(configuration)
    with pytest.raises(ConfigurationError) as refusal:
        Jobs.from_mapping(configuration, "lock")
    message = str(refusal.value)
    for line in message.splitlines():
        assert LINE.match(line), line
    assert not re.search(r"0x[0-9a-f]{4}|function-|functools|pydantic", message), message
    assert about(message, bad), message
    for text in bad.says:
        assert any(text in line for line in about(message, bad)), message


def test_every_problem_is_named_at_once() -> None:
    """Of several experiments and studies."""
    configuration = tiny()
    in_success("training", "steps", value=0)(configuration)
    in_success("network", "hidden", value="x")(configuration)
    configuration["studies"]["constant_targets"]["convergence"] = 3
    with pytest.raises(ConfigurationError) as refusal:
        Jobs.from_mapping(configuration, "lock")
    paths = {line.partition(":")[0] for line in str(refusal.value).splitlines()}
    assert {f"{SUCCESS}.training.steps", f"{SUCCESS}.network.hidden", CONVERGENCE} <= paths


# ---- Snakemake


def refuses(checkout: Checkout, ended: Ended, *texts: str) -> None:
    """Snakemake stopped before any job, with a message and nothing computed."""
    assert ended.code != 0
    assert "Traceback" not in ended.text
    assert "rule" not in ended.text
    assert "Job stats" not in ended.text
    for text in texts:
        assert text in ended.text, ended.text
    computed = {path.name for path in checkout.root.iterdir()} & {"results", "figures"}
    assert not computed


RUN = "import sys; from descentflow.cli import main; main()"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("misspelt", ("-m", "snakemake", "-n", "--configfile", "tiny.yaml")),
        ("nan", ("-c", RUN, "run", "--cores", "1", "--configfile", "tiny.yaml")),
    ],
)
def test_snakemake_refuses(fresh: Checkout, name: str, arguments: tuple[str, ...]) -> None:
    """With the same words, in a dry run and in ``descentflow run``."""
    bad = BAD[name]
    fresh.configure(bad.change)
    refuses(fresh, fresh.python(*arguments), f"\n{bad.path}", "not valid", *bad.says)


def test_snakemake_refuses_what_is_no_yaml(fresh: Checkout) -> None:
    """Snakemake's own message."""
    (fresh.root / "tiny.yaml").write_text("seed: [1\nstudies: }\n")
    refuses(fresh, fresh.snakemake(), "JSON or YAML")


NO_MAPPINGS = ("seed: [1\nstudies: }\n", "", "- seed\n- studies\n", "seed:\t1\n\tstudies:\n")


@pytest.mark.parametrize("text", NO_MAPPINGS)
def test_the_command_refuses_what_is_no_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Broken YAML, nothing, a list, tabs."""
    (tmp_path / "tiny.yaml").write_text(text)
    message = said_by_check(tmp_path, monkeypatch)
    assert message.startswith(f"error: {tmp_path / 'tiny.yaml'}")


@pytest.mark.parametrize("name", ["step-size-0", "absurd-steps", "no-studies"])
def test_the_command_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    configuration = tiny()
    BAD[name].change(configuration)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(configuration))
    message = said_by_check(tmp_path, monkeypatch)
    assert "not valid" in message
    assert about(message, BAD[name]), message


def said_by_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The message that ``descentflow check`` ends with, in this process."""
    lock = str(REPOSITORY / "envs" / "requirements.lock")
    arguments = ["descentflow", "check", str(folder / "tiny.yaml"), "--lock", lock]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as end:
        cli.main()
    return str(end.value.code)


# ---- damaged and misplaced files


def truncated(path: Path, _checkout: Checkout) -> None:
    """Only the first half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path: Path, checkout: Checkout) -> None:
    """One bit of a number, at the place where an uncompressed variable lies."""
    with xr.open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
        variables = [
            variable.values
            for variable in dataset.variables.values()
            if variable.dtype.kind in "if" and variable.ndim == 1 and variable.size > 1
        ]
    data = bytearray(path.read_bytes())
    places = [place for values in variables if (place := data.find(values.tobytes())) >= 0]
    assert places
    data[places[0]] ^= 1
    path.write_bytes(data)
    assert checkout.root in path.parents


def foreign(path: Path, _checkout: Checkout) -> None:
    """A netCDF that somebody else wrote, with the same variables."""
    with xr.open_dataset(path, engine="netcdf4") as opened:
        dataset = opened.load()
    dataset.attrs = {"title": "not ours"}
    dataset.to_netcdf(path, engine="netcdf4")


def no_netcdf(path: Path, _checkout: Checkout) -> None:
    """Text."""
    path.write_text("step,risk\n0,1.0\n")


def removed(path: Path, _checkout: Checkout) -> None:
    """Nothing."""
    path.unlink()


def of_another(path: Path, checkout: Checkout) -> None:
    """The same file of another seed: as large, as many initialisations, at the same step."""
    configuration = tiny()
    configuration["seed"] = 8
    (own,) = (c for c in checkout.commands() if checkout.root / c.outputs[0] == path)
    other = {c.outputs[0]: c for c in commands(configuration, "lock")}
    wanted = next(
        c
        for c in other.values()
        if c.stage == own.stage and comparable(c.spec) == comparable(own.spec)
    )
    folder = checkout.root / "other"
    for command in needed(wanted, other):
        inputs = [folder / before.name for before in command.inputs]
        command.into(folder).reading(*inputs).run()
    path.write_bytes((folder / wanted.outputs[0].name).read_bytes())


def comparable(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec but for its seed."""
    return {key: value for key, value in spec.items() if key != "seed"}


def needed(command: Command, known: dict[Path, Command]) -> list[Command]:
    """A command after all that it needs; file names must differ."""
    before = [c for path in dict.fromkeys(command.inputs) for c in needed(known[path], known)]
    return [*before, command]


DAMAGES = (truncated, flipped, foreign, no_netcdf, removed)


def stage_of(checkout: Checkout, stage: str) -> Command:
    """A command of the stage: of training, one that goes on from a segment."""
    found = [command for command in checkout.commands() if command.stage == stage]
    return found[1] if stage == "train" else found[0]


@pytest.fixture
def inside(warm: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A finished checkout in which this process works."""
    monkeypatch.chdir(warm.root)
    return warm


def refuses_the_file(command: Command, path: Path) -> None:
    """The command ends with a message that names the file, and leaves nothing."""
    folder = Path("refused")
    message = stopped(command.into(folder))
    assert message.startswith("error: "), message
    assert str(path) in message
    assert not list(folder.rglob("*"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("stage", ["train", "aggregate", "draw", "judge"])
def test_damaged_files_are_refused(
    inside: Checkout, stage: str, damage: Callable[[Path, Checkout], None]
) -> None:
    command = stage_of(inside, stage)
    damage(inside.root / command.inputs[0], inside)
    refuses_the_file(command, command.inputs[0])


def first_segment(checkout: Checkout) -> Command:
    """The command that trains from the samples."""
    return next(command for command in checkout.commands() if command.stage == "train")


def test_samples_of_another_seed_are_refused(inside: Checkout) -> None:
    command = first_segment(inside)
    of_another(inside.root / command.inputs[0], inside)
    refuses_the_file(command, command.inputs[0])


def test_samples_of_another_width_are_refused(inside: Checkout) -> None:
    command = first_segment(inside)
    refuses_the_file(
        command.changed(network={"hidden": 3, "activation": "relu"}),
        command.inputs[0],
    )


@pytest.mark.parametrize("stage", ["train", "aggregate"])
def test_segments_of_another_run_are_refused(inside: Checkout, stage: str) -> None:
    """Where training goes on from it, and where it is joined."""
    command = stage_of(inside, stage)
    of_another(inside.root / command.inputs[0], inside)
    refuses_the_file(command, command.inputs[0])


@pytest.mark.parametrize("stage", ["draw", "judge"])
def test_datasets_of_another_study_are_refused(inside: Checkout, stage: str) -> None:
    command = stage_of(inside, stage)
    datasets = [Path(f"results/datasets/{study}.nc") for study in tiny()["studies"]]
    datasets[0].write_bytes(datasets[1].read_bytes())
    refuses_the_file(command, command.inputs[0])


@pytest.mark.parametrize("stage", ["train", "draw", "judge"])
def test_files_of_another_stage_are_refused(inside: Checkout, stage: str) -> None:
    """A dataset where a sample belongs, samples where a dataset belongs."""
    command = first_segment(inside) if stage == "train" else stage_of(inside, stage)
    sample, dataset = first_segment(inside).inputs[0], stage_of(inside, "draw").inputs[0]
    wrong = dataset if stage == "train" else sample
    command.inputs[0].write_bytes(wrong.read_bytes())
    refuses_the_file(command, command.inputs[0])


@pytest.mark.parametrize("change", ["too few", "too many", "swapped"])
def test_aggregate_refuses_other_lists_of_files(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Not one file for each segment of each chunk, in order."""
    command = stage_of(finished, "aggregate")
    inputs = {
        "too few": command.inputs[:-1],
        "too many": (*command.inputs, command.inputs[0]),
        "swapped": command.inputs[::-1],
    }[change]
    monkeypatch.chdir(finished.root)
    folder = tmp_path / "out"
    assert stopped(command.into(folder).reading(*inputs)).startswith("error: ")
    assert not list(folder.rglob("*"))


# ---- nonsense on the command line


STAGES = ("sample", "train", "aggregate", "draw", "judge")
NO_JSON = ("", "nonsense", "{'spec': {}}", "[]", "null", "{}", '{"spec": 3}')


def stopped(command: Command, job: str | None = None) -> str:
    """Run a stage's command in this process, with another job; the message it ends with.

    Anything but a refusal, which a shell would see as a traceback, is not caught here.
    """
    arguments = ["--input", *map(str, command.inputs)] if command.inputs else []
    arguments += ["--output", *map(str, command.outputs)]
    arguments = ["stage", "--job", command.job if job is None else job, *arguments]
    module = import_module(f"descentflow.stages.{command.stage}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        patch.setattr(command_line, "_give_up", sys.exit)
        with pytest.raises(SystemExit) as end:
            module.STAGE.main()
    assert end.value.code not in (0, None)
    return str(end.value.code)


def refuses_job(
    checkout: Checkout,
    command: Command,
    job: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message about the job, and no file."""
    monkeypatch.chdir(checkout.root)
    message = stopped(command.into(folder), job)
    assert re.match(r"error: \S", message)
    assert len(message.splitlines()) < 10
    assert "pydantic" not in message
    assert not list(folder.rglob("*"))


@pytest.mark.parametrize("job", NO_JSON)
@pytest.mark.parametrize("stage", STAGES)
def test_stages_refuse_what_is_no_job(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, job: str
) -> None:
    command = stage_of(finished, stage)
    refuses_job(finished, command, job, tmp_path / "out", monkeypatch)


@pytest.mark.parametrize("stage", STAGES)
def test_stages_refuse_empty_specs(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    command = stage_of(finished, stage)
    refuses_job(finished, command, '{"spec": {}, "lock": "x"}', tmp_path / "out", monkeypatch)


def test_aggregate_refuses_a_job_without_the_lock(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids of its runs depend on it."""
    command = stage_of(finished, "aggregate")
    job = json.dumps({"spec": command.spec})
    refuses_job(finished, command, job, tmp_path / "out", monkeypatch)


SPECS: dict[str, tuple[str, dict[str, Any]]] = {
    "sample-chunk": ("sample", {"chunk": "a-b"}),
    "sample-chunk-number": ("sample", {"chunk": 3}),
    "sample-chunk-backwards": ("sample", {"chunk": "5-2"}),
    "sample-seed": ("sample", {"seed": "x"}),
    "sample-width": ("sample", {"network": {"hidden": 0}}),
    "sample-law": ("sample", {"initialization": {"law": "cauchy"}}),
    "train-chunk": ("train", {"chunk": "a-b"}),
    "train-segment": ("train", {"segment": "x"}),
    "train-segment-backwards": ("train", {"segment": [10_000, 5]}),
    "train-target": ("train", {"target": {"kind": "cubic"}}),
    "train-training": ("train", {"training": {}}),
    "aggregate-study": ("aggregate", {"study": "no_such_study"}),
    "aggregate-experiments": ("aggregate", {"experiments": {"convergence": [{}]}}),
    "draw-study": ("draw", {"study": "no_such_study"}),
    "draw-study-number": ("draw", {"study": 3}),
    "draw-study-path": ("draw", {"study": "../store"}),
    "judge-studies": ("judge", {"studies": ["no_such_study"]}),
    "judge-studies-number": ("judge", {"studies": 3}),
    "judge-too-few": ("judge", {"studies": []}),
}


@pytest.mark.parametrize(("stage", "spec"), SPECS.values(), ids=SPECS.keys())
def test_stages_refuse_nonsense_in_specs(
    finished: Checkout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    spec: dict[str, Any],
) -> None:
    command = stage_of(finished, stage)
    job = command.changed(**spec).job
    refuses_job(finished, command, job, tmp_path / "out", monkeypatch)


@pytest.mark.parametrize("stage", ["train", "aggregate", "draw", "judge"])
def test_stages_refuse_missing_inputs(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """No ``--input`` at all."""
    command = stage_of(finished, stage).reading()
    refuses_job(finished, command, command.job, tmp_path / "out", monkeypatch)


@pytest.mark.parametrize("name", ["no_such_figure.pdf", "risk_and_lyapunov.bmp", "style.pdf"])
def test_draw_refuses_other_figures(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A figure the study does not have, a format nobody asked for, a name that is no figure."""
    drawing = stage_of(finished, "draw")
    command = Command("draw", drawing.job, drawing.inputs, (Path(name),))
    refuses_job(finished, command, command.job, tmp_path / "out", monkeypatch)


def test_draw_refuses_the_figure_of_an_absent_experiment(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny dataset lacks the experiment ``dimensions``."""
    drawing = next(c for c in finished.commands() if c.rule == "constant_targets")
    command = Command("draw", drawing.job, drawing.inputs, (tmp_path / "dimensions.pdf",))
    monkeypatch.chdir(finished.root)
    message = stopped(command)
    assert message.startswith(f"error: {tmp_path}/dimensions.pdf: needs the experiment dimensions")
    assert not list(tmp_path.iterdir())


def test_a_stage_that_writes_one_file_refuses_to_be_given_two(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.root)
    for stage in ("sample", "train", "aggregate", "judge"):
        command = stage_of(finished, stage)
        two = (tmp_path / "one", tmp_path / "two")
        message = stopped(Command(stage, command.job, command.inputs, two))
        assert message == "error: --output: 1 file is needed, found 2"
    command = stage_of(finished, "draw")
    both = command.into(tmp_path).reading(*command.inputs, *command.inputs)
    assert stopped(both) == "error: --input: 1 file is needed, found 2"
    assert not list(tmp_path.iterdir())


def test_a_shell_sees_a_message_and_no_traceback(warm: Checkout) -> None:
    """The real command, with a job that is not one, and with a file that is none."""
    command = stage_of(warm, "train")
    arguments = command.into(Path("out")).arguments
    no_netcdf(warm.root / command.inputs[0], warm)
    for given, says in (
        (["nonsense" if a == command.job else a for a in arguments], "error: --job"),
        (arguments, f"error: {command.inputs[0]}"),
    ):
        ended = warm.python(*given)
        assert ended.code == 1
        assert ended.text.startswith(says)
        assert "Traceback" not in ended.text
    assert warm.files("out") == []


def test_the_damage_is_real(warm: Checkout) -> None:
    """What the tests above do to files leaves the undamaged ones readable, or nothing is shown."""
    path = warm.root / stage_of(warm, "draw").inputs[0]
    before = path.read_bytes()
    flipped(path, warm)
    changed = np.frombuffer(before, np.uint8) != np.frombuffer(path.read_bytes(), np.uint8)
    assert changed.sum() == 1


def test_yaml_reads_the_tiny_configuration_back(fresh: Checkout) -> None:
    """An unchanged configuration written by the tests is still a good one."""
    written = fresh.configure()
    assert yaml.safe_load((fresh.root / "tiny.yaml").read_text()) == written
    Jobs.from_mapping(written, "lock")

"""Ids, chunks, segments: what decides them, and that larger plans extend smaller ones."""

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descentflow.config import validate
from descentflow.errors import ConfigurationError
from descentflow.planning import runs as planning
from descentflow.planning import shallow_runs
from descentflow.planning.identity import identity
from descentflow.planning.shallow_runs import Run
from descentflow.training.recording import record_steps, record_times, snapshot_steps

QUIET = settings(deadline=None, derandomize=True, database=None)
SETTING: dict[str, Any] = {
    "inputs": {"law": "uniform", "low": 0.0, "high": 1.0},
    "target": {"kind": "constant", "value": 1.0},
    "network": {"hidden": 3, "activation": "relu"},
    "initialization": {"law": "normal", "scale": 1.0, "count": 5, "chunk": 4},
    "training": {
        "method": "gd",
        "step_size": 0.1,
        "steps": 10,
        "records_per_decade": 20,
        "snapshots": 0,
    },
}


def runs(
    changes: dict[str, Any] | None = None,
    sweep: dict[str, list[Any]] | None = None,
    seed: int = 1,
    lock: str = "lock",
) -> list[Run]:
    """The runs of one experiment; ``changes`` by dotted keys."""
    mapping = copy.deepcopy(SETTING)
    for key, value in (changes or {}).items():
        block, _, name = key.partition(".")
        mapping[block] = {**mapping[block], name: value} if name else value
    expanded, problems = validate.expand({**mapping, "sweep": sweep or {}})
    assert not problems
    return planning.plan_runs({"experiment": expanded}, shallow_runs.RUN_CLASSES, seed, lock)


def one(**changes: Any) -> Run:
    """The run of one experiment, keys with ``__`` for dots."""
    (run,) = runs({key.replace("__", "."): value for key, value in changes.items()})
    return run


# ---- ids


@pytest.mark.parametrize(
    "changes",
    [
        {"training.steps": 10**9},
        {"initialization.count": 10**6},
        {"initialization.chunk": 7},
        {"training.step_size": "1e-1"},
        {"network": {"hidden": "3"}},
        {"inputs": {"high": 1, "law": "uniform"}},
    ],
)
def test_ids_do_not_depend_on(changes: dict[str, Any]) -> None:
    """Horizon, number, chunks; nor on spelling, order and defaults of what they depend on."""
    (run,), (other,) = runs(), runs(changes)
    assert run.id == other.id
    assert run.start.id == other.start.id


DECIDES_RUN: dict[str, Any] = {
    "inputs.high": 2.0,
    "target.value": 2.0,
    "target": {"kind": "affine", "slope": 1.0},
    "training.step_size": 0.2,
    "training.records_per_decade": 10,
    "training.snapshots": 1,
}
DECIDES_START: dict[str, Any] = {
    "network.hidden": 4,
    "initialization.scale": 2.0,
    "initialization.law": "uniform",
}


@pytest.mark.parametrize(("key", "value"), DECIDES_RUN.items(), ids=DECIDES_RUN.keys())
def test_ids_of_runs_depend_on(key: str, value: Any) -> None:
    """Runs that differ in this start from the same samples."""
    (run,), (other,) = runs(), runs({key: value})
    assert run.id != other.id
    assert run.start.id == other.start.id


@pytest.mark.parametrize(("key", "value"), DECIDES_START.items(), ids=DECIDES_START.keys())
def test_ids_of_starts_depend_on(key: str, value: Any) -> None:
    (run,), (other,) = runs(), runs({key: value})
    assert run.id != other.id
    assert run.start.id != other.start.id


@pytest.mark.parametrize("more", [{"seed": 2}, {"lock": "other"}])
def test_ids_depend_on_seed_and_lock_file(more: dict[str, Any]) -> None:
    (run,), (other,) = runs(), runs(**more)
    assert run.id != other.id
    assert run.start.id != other.start.id


def test_ids_are_digests_of_specs() -> None:
    """Which hold the lock file beside what the files carry."""
    run = one()
    assert run.id == identity({**run.spec, "lock": "lock"})
    assert run.start.id == identity({**run.start.spec, "lock": "lock"})
    assert run.id != run.start.id


# ---- runs


def test_step_sizes_are_a_dimension_of_one_run() -> None:
    sizes: list[Any] = [0.3, {"lyapunov_fraction": 0.5}, 0.1]
    (run,) = runs(sweep={"training.step_size": sizes})
    assert list(run.step_sizes) == sizes
    assert run.spec["training"]["step_sizes"] == sizes


def test_other_keys_make_other_runs() -> None:
    sizes = [0.3, 0.1]
    found = runs(
        sweep={"network.hidden": [4, 2], "training.step_size": sizes, "target.value": [1, 2]}
    )
    chosen = [(run.setting.network.hidden, run.spec["target"]["value"]) for run in found]
    assert chosen == [(4, 1.0), (4, 2.0), (2, 1.0), (2, 2.0)]
    assert all(run.step_sizes == (0.3, 0.1) for run in found)
    assert len({run.id for run in found}) == 4
    assert len({run.start.id for run in found}) == 2


def test_two_horizons_of_one_run_are_refused() -> None:
    """They would write the same files."""
    pair = [*runs(), *runs({"training.steps": 20})]
    with pytest.raises(ConfigurationError, match=r"experiment.*10\b.*20\b"):
        planning.check_shared(pair)
    planning.check_shared([*runs(), *runs()])
    planning.check_shared([*runs(), *runs({"training.steps": 20, "initialization.chunk": 3})])
    planning.check_shared([*runs(), *runs({"training.steps": 20, "network.hidden": 4})])


# ---- chunks


@QUIET
@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(1, 500))
def test_chunks_hold_all_and_extend(count: int, more: int, size: int) -> None:
    """Whole chunks, in order, the same for a larger number."""
    size = max(size, (count + more) // 500)
    chunks = one(initialization__count=count, initialization__chunk=size).chunks
    edges = [tuple(map(int, chunk.split("-"))) for chunk in chunks]
    assert edges[0][0] == 0
    assert all(last - first + 1 == size for first, last in edges)
    assert all(after[0] == before[1] + 1 for before, after in pairwise(edges))
    assert edges[-1][0] < count <= edges[-1][1] + 1
    larger = one(initialization__count=count + more, initialization__chunk=size).chunks
    assert larger[: len(chunks)] == chunks


# ---- segments

WIDTHS = st.sampled_from([1, 4, 64, 1000, 65_536])
CHUNKS = st.sampled_from([1, 16, 1024, 40_000])


def segments(steps: int, hidden: int, chunk: int) -> list[tuple[float, float]]:
    """The segments of a run."""
    run = one(training__steps=steps, network__hidden=hidden, initialization__chunk=chunk)
    return run.segments


def most(hidden: int, chunk: int) -> int:
    """Steps that make about a hundred segments at most."""
    seconds = shallow_runs.SECONDS_PER_NEURON_STEP * (hidden + 8) * chunk
    return min(10**13, max(30, int(100 * shallow_runs.SEGMENT_SECONDS / seconds)))


@settings(QUIET, max_examples=200)
@given(st.data(), WIDTHS, CHUNKS)
def test_segments_follow_each_other(data: st.DataObject, hidden: int, chunk: int) -> None:
    """From 0 to the last step, none of them empty."""
    steps = data.draw(st.integers(1, most(hidden, chunk)))
    found = segments(steps, hidden, chunk)
    assert found[0][0] == 0
    assert found[-1][1] == steps
    assert all(start < stop for start, stop in found)
    assert all(before[1] == after[0] for before, after in pairwise(found))


@settings(QUIET, max_examples=200)
@given(st.data(), WIDTHS, CHUNKS)
def test_a_shorter_horizon_is_a_prefix(data: st.DataObject, hidden: int, chunk: int) -> None:
    """But for its last segment, which ends within one of the longer plan."""
    short = data.draw(st.integers(1, most(hidden, chunk)))
    long = data.draw(st.integers(short, most(hidden, chunk)))
    few, many = segments(short, hidden, chunk), segments(long, hidden, chunk)
    assert many[: len(few) - 1] == few[:-1]
    (start, stop), (longer_start, longer_stop) = few[-1], many[len(few) - 1]
    assert start == longer_start
    assert stop <= longer_stop


def test_what_a_longer_horizon_computes_again() -> None:
    """A run below ten minutes has one segment, from 0; a longer one keeps all but the last."""
    short, longer = (segments(steps, hidden=8, chunk=64) for steps in (20_000, 40_000))
    assert (short, longer) == ([(0, 20_000)], [(0, 40_000)])
    seconds = shallow_runs.SECONDS_PER_NEURON_STEP * (8 + 8) * 64
    steps = int(4 * shallow_runs.SEGMENT_SECONDS / seconds)
    short, longer = (segments(count, hidden=8, chunk=64) for count in (steps, 2 * steps))
    assert longer[0] == short[0]
    assert longer[: len(short) - 1] == short[:-1]
    flows = [one(training={"method": "gf", "until": until}).segments for until in (1e4, 1e8)]
    assert flows == [[(0, 1e4)], [(0, 1e8)]]


@pytest.mark.parametrize(("hidden", "chunk"), [(4, 16), (64, 256), (1000, 1024), (4, 10**6)])
def test_segments_last_about_ten_minutes_at_most(hidden: int, chunk: int) -> None:
    """By the plan's own estimate."""
    seconds = shallow_runs.SECONDS_PER_NEURON_STEP * (hidden + 8) * chunk
    found = segments(most(hidden, chunk), hidden, chunk)
    longest = max(stop - start for start, stop in found)
    assert longest * seconds <= shallow_runs.SEGMENT_SECONDS + seconds
    assert len(found) > 1


def test_segments_do_not_depend_on_the_number() -> None:
    chosen = {"training.steps": 10**9, "network.hidden": 64, "initialization.chunk": 256}
    (few,), (many,) = (
        runs({**chosen, "initialization.count": n, "training.records_per_decade": r})
        for n, r in ((1, 1), (10**6, 50))
    )
    assert few.segments == many.segments
    assert len(few.segments) > 2


def test_the_smallest_run_is_one_segment() -> None:
    assert segments(1, 1, 1) == [(0, 1)]


# ---- gradient flow


def flow(until: float, **changes: Any) -> Run:
    """A run of gradient flow."""
    training = {"method": "gf", "until": until, **changes.pop("training", {})}
    (run,) = runs({"training": training, **{k.replace("__", "."): v for k, v in changes.items()}})
    return run


def test_flows_have_no_step_size() -> None:
    assert flow(10.0).step_sizes == (None,)
    assert "step_sizes" not in flow(10.0).spec["training"]
    assert flow(10.0).id != one().id
    assert flow(10.0).start.id == one().start.id


def test_ids_of_flows_do_not_depend_on_the_final_time() -> None:
    """Nor on number and chunks, but on what decides the numbers."""
    run = flow(10.0)
    for same in (
        flow(1e8),
        flow("1e3"),  # type: ignore[arg-type]
        flow(10.0, initialization__count=99),
        flow(10.0, initialization__chunk=2),
    ):
        assert same.id == run.id
    for key, value in (("rtol", 1e-8), ("max_steps", 7), ("gradient_tolerance", 1e-3)):
        assert flow(10.0, training={key: value}).id != run.id


TIMES = st.floats(1e-3, 1e15, allow_subnormal=False)


@settings(QUIET, max_examples=200)
@given(TIMES, TIMES, st.sampled_from([1, 64, 1000]), st.sampled_from([1, 64, 10**5]))
def test_segments_of_flows(one_end: float, other: float, hidden: int, chunk: int) -> None:
    """They follow each other, end with powers of ten, and a shorter horizon's are a prefix."""
    short, long = (
        flow(until, network__hidden=hidden, initialization__chunk=chunk).segments
        for until in sorted((one_end, other))
    )
    assert short[:-1] == long[: len(short) - 1]
    assert short[-1][0] == long[len(short) - 1][0]
    for found, until in ((short, min(one_end, other)), (long, max(one_end, other))):
        assert (found[0][0], found[-1][1]) == (0, until)
        assert all(start < stop for start, stop in found)
        assert all(before[1] == after[0] for before, after in pairwise(found))
        assert all(stop == float(f"1e{round(np.log10(stop))}") for _, stop in found[:-1])


@QUIET
@given(TIMES, TIMES, st.sampled_from([1, 3, 10, 100]))
def test_records_of_a_shorter_flow_are_a_prefix(one_end: float, other: float, density: int) -> None:
    """But for its final time; 0 and the final time are always there, and all increase."""
    few, many = (record_times(until, density) for until in sorted((one_end, other)))
    assert few[:-1].tolist() == many[: len(few) - 1].tolist()
    assert (few[-1], many[-1]) == (min(one_end, other), max(one_end, other))
    for times in (few, many):
        assert times[0] == 0
        assert (np.diff(times) > 0).all()


# ---- records


@QUIET
@given(st.integers(1, 10**13), st.integers(0, 10**13), st.sampled_from([1, 5, 20, 1000]))
def test_records_of_a_shorter_run_are_a_prefix(until: int, more: int, density: int) -> None:
    """But for its last step; 0 and the last are always there, and all increase."""
    few, many = record_steps(until, density), record_steps(min(until + more, 10**13), density)
    assert few[:-1].tolist() == many[: len(few) - 1].tolist()
    assert few[-1] <= many[len(few) - 1]
    for steps in (few, many):
        assert steps[0] == 0
        assert (np.diff(steps) > 0).all()
    assert few[-1] == until


@QUIET
@given(st.data())
def test_records_of_segments_are_those_of_the_whole(data: st.DataObject) -> None:
    """Each segment records its own steps; ends of segments come on top."""
    steps = data.draw(st.integers(1, most(64, 1024)))
    density = data.draw(st.integers(1, 30))
    joined: set[int] = set()
    for start, stop in segments(steps, 64, 1024):
        grid = record_steps(stop, density)
        joined |= set(grid[(grid > start) | (grid == 0)].tolist())
    whole = set(record_steps(steps, density).tolist())
    assert whole <= joined
    assert joined - whole <= {stop for _, stop in segments(steps, 64, 1024)}


def test_snapshots_are_records() -> None:
    """Where records are dense enough to hold the powers of ten."""
    for until in (1, 7, 10, 123, 10**6, 3 * 10**12):
        for density in (1, 3, 20):
            assert set(snapshot_steps(until)) <= set(record_steps(until, density))

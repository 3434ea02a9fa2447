"""What the library draws: lines against runs, networks, gradients and Hessians."""

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import pyplot as plt

import descentflow as df
from descentflow.errors import InputError
from descentflow.training import plot

RELU = df.Problem(inputs=df.Uniform(), target=df.Step(0.5), network=df.Network(3))
ODD = df.Problem(inputs=df.Uniform(-1, 1), target=df.Affine(1.0), network=df.Network(1, "tanh"))
START = np.random.default_rng(7).standard_normal((5, RELU.parameter_count))


@pytest.fixture(autouse=True)
def close() -> Iterator[None]:
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_the_module_is_public() -> None:
    assert df.plot is plot
    assert "plot" in dir(df)


def test_risk_curves_are_those_of_the_run() -> None:
    run = df.descend(RELU, START, step_size=0.05, steps=50, snapshots=2)
    panel = df.plot.risk_curves(run)
    *singles, median = panel.get_lines()
    for line, risk in zip(singles, run["risk"].values, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), risk[1:])
    np.testing.assert_array_equal(median.get_ydata(), np.sort(run["risk"], axis=0)[2, 1:])
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")
    other = plt.subplots()[1]
    assert df.plot.risk_curves(run, quantity="gradient_norm", ax=other) is other
    with pytest.raises(InputError, match="quantity: found 'parameters'; allowed: risk, "):
        df.plot.risk_curves(run, quantity="parameters")


def test_networks_have_sharp_kinks_and_targets_sharp_jumps() -> None:
    panel = df.plot.realizations(RELU, START, labels=range(5))
    *networks, target = panel.get_lines()
    for number, (line, theta) in enumerate(zip(networks, START, strict=True)):
        x, y = (np.asarray(values) for values in line.get_data())
        kinks = RELU.breakpoints(theta)
        assert set(kinks[np.isfinite(kinks)]) <= set(x)
        np.testing.assert_allclose(y, RELU.network.realization(theta, x), rtol=0, atol=1e-14)
        assert line.get_label() == str(number)
    x, y = (np.asarray(values) for values in target.get_data())
    (jump,) = np.flatnonzero(np.diff(y))
    assert (x[jump], y[jump], y[jump + 1]) == (0.5, 0.0, 1.0)
    assert x[jump + 1] - x[jump] < 1e-15
    with pytest.raises(InputError, match="labels: one for each network"):
        df.plot.realizations(RELU, START, labels=["a"])


def test_sharpness_is_the_largest_eigenvalue() -> None:
    run = df.descend(RELU, START, step_size=0.05, steps=50, snapshots=2)
    *singles, bound = df.plot.sharpness(RELU, run, step_size=0.05).get_lines()
    assert len(singles) == 2
    for line, thetas in zip(singles, run["snapshots"].values, strict=False):
        assert np.asarray(line.get_xdata()).tolist() == [1, 10, 50]
        values = [max(np.linalg.eigh(RELU.hessian(theta))[0]) for theta in thetas[1:]]
        np.testing.assert_allclose(line.get_ydata(), values, rtol=1e-12)
    assert np.asarray(bound.get_ydata()).tolist() == [40.0, 40.0]
    with pytest.raises(InputError, match="run: holds no snapshots"):
        df.plot.sharpness(RELU, df.descend(RELU, START, step_size=0.1, steps=2))


def test_a_phase_portrait_follows_the_flow() -> None:
    """For an odd target b = c = 0 is invariant, so a flow's curve is tangent to the drawn field."""
    flow = df.flow(ODD, [[0.5, 0.0, -0.5, 0.0]], until=100.0, snapshots=1)
    paths = flow["snapshots"].values
    assert np.abs(paths[..., [1, 3]]).max() < 1e-12
    panel = df.plot.phase_portrait(ODD, ("w", "v"), trajectories=paths, nodes=21)
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("$w$", "$v$")
    (path,) = panel.get_lines()
    np.testing.assert_array_equal(path.get_xdata(), paths[0, :, 0])
    np.testing.assert_array_equal(path.get_ydata(), paths[0, :, 2])
    streams = panel.collections[-1]
    lines = [np.asarray(line.vertices) for line in streams.get_paths()]
    middle = np.concatenate([0.5 * (line[1:] + line[:-1]) for line in lines])
    along = np.concatenate([np.diff(line, axis=0) for line in lines])
    theta = np.zeros((len(middle), 4))
    theta[:, 0], theta[:, 2] = middle.T
    grad = ODD.gradient(theta)[:, [0, 2]]
    size = np.linalg.norm(grad, axis=1) * np.linalg.norm(along, axis=1)
    steep = size > np.quantile(size, 0.5)
    cosine = -(grad * along).sum(axis=1)[steep] / size[steep]
    assert np.median(cosine) > 0.99, "streamlines go down the gradient"


@pytest.mark.parametrize(
    ("coordinates", "text"),
    [
        (("w", "x"), "coordinates: found 'x'; allowed: w, b, v, c"),
        ((0, 4), "coordinates: found 4; allowed: 0 to 3"),
        ((1, 1), "coordinates: two different ones"),
    ],
)
def test_other_coordinates_are_refused(coordinates: tuple[str | int, int], text: str) -> None:
    with pytest.raises(InputError, match=text):
        df.plot.phase_portrait(ODD, coordinates)
    with pytest.raises(InputError, match=r"at: shape \(4,\) is needed, found \(3,\)"):
        df.plot.phase_portrait(ODD, at=np.zeros(3))
    with pytest.raises(InputError, match="for one neuron, input and output"):
        df.plot.phase_portrait(RELU, ("w", "v"))

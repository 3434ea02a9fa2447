"""Laws of θ₀ that are new beside those of test_networks: by part, balanced, on spheres."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import descentflow as df
from descentflow.errors import ConfigurationError
from descentflow.functions.networks import Layout

WIDE = Layout(inputs=3, hidden=64, outputs=2)
MANY = 400


def parts(law: df.InitializationLaw, layout: Layout = WIDE, seed: int = 5) -> Any:
    return layout.split(law.draw(layout, seed, 0, MANY))


def test_laws_by_part() -> None:
    """Each part has its law, its scale and its power of the width; parts left out are 0."""
    law = df.InitializationLaw(
        w={"law": "normal", "scale": 2.0, "width_power": -0.5, "absolute": True},
        b={"law": "uniform", "scale": 3.0},
        v={"law": "constant", "scale": 0.5, "width_power": 1},
    )
    w, b, v, c = parts(law)
    assert (w >= 0).all()
    assert stats.kstest(w.ravel() * 8.0 / 2.0, stats.halfnorm.cdf).pvalue > 1e-3
    assert stats.kstest(b.ravel(), stats.uniform(-3, 6).cdf).pvalue > 1e-3
    assert set(v.ravel()) == {32.0}
    assert not c.any()


def test_spheres_by_part() -> None:
    law = df.InitializationLaw(**{p: {"law": "sphere", "scale": 2.0} for p in "wbvc"})
    w, b, v, c = parts(law)
    for vectors in (w, v.swapaxes(-1, -2), c):
        np.testing.assert_allclose((vectors**2).sum(axis=-1), 4.0, rtol=1e-14)
        # Coordinates have variance at most 4/2: five standard deviations of their mean.
        assert abs(vectors.mean()) < 5.0 * math.sqrt(2.0 / vectors.size)
    assert set(b.ravel()) == {2.0, -2.0}
    # A coordinate of a uniform direction in three dimensions is uniform (Archimedes).
    assert stats.kstest(w[..., 0].ravel(), stats.uniform(-2, 4).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["balanced", "sphere"])
def test_balanced(name: Any) -> None:
    """|v_i| = |(w_i, b_i)|, directions and signs at random, c = 0."""
    for layout in (WIDE, Layout(hidden=64)):
        law = df.InitializationLaw(name, 1e-3, width_power=-0.5)
        w, b, v, c = parts(law, layout)
        inner = (w**2).sum(axis=-1) + b**2
        np.testing.assert_allclose((v**2).sum(axis=-2), inner, rtol=1e-13)
        assert not c.any()
        assert abs((v > 0).mean() - 0.5) < 0.02
        size = 1e-3 / 8.0
        if name == "sphere":
            np.testing.assert_allclose(inner, size**2, rtol=1e-13)
        else:
            assert stats.kstest(b.ravel() / size, stats.norm.cdf).pvalue > 1e-3


def test_xavier_normal() -> None:
    """Glorot's variances 2/(fan_in + fan_out), normal, biases 0."""
    w, b, v, c = parts(df.InitializationLaw("xavier_normal", 2.0))
    assert stats.kstest(w.ravel() / 2 / math.sqrt(2 / 67), stats.norm.cdf).pvalue > 1e-3
    assert stats.kstest(v.ravel() / 2 / math.sqrt(2 / 66), stats.norm.cdf).pvalue > 1e-3
    assert not b.any()
    assert not c.any()


def test_absolute_values() -> None:
    """The same numbers without their signs would be another stream; so only the law is compared."""
    drawn = df.InitializationLaw("normal", absolute=True).draw(WIDE, 1, 0, 20)
    assert stats.kstest(drawn.ravel(), stats.halfnorm.cdf).pvalue > 1e-3


def test_powers_of_the_width_are_rounded_once() -> None:
    """64^(−4/15) by mpmath; 64^½ and 64^0 exactly."""
    import mpmath

    with mpmath.workdps(40):
        exact = float(mpmath.mpf(64) ** mpmath.mpf(-4 / 15))
    for power, size in ((-4 / 15, exact), (0.5, 8.0), (0.0, 1.0)):
        law = df.InitializationLaw(c={"law": "constant", "width_power": power})
        assert set(parts(law)[3].ravel()) == {size}


def test_streams() -> None:
    """More initialisations change none of the others; another seed or law changes all."""
    law = df.InitializationLaw(w={"law": "normal"}, v={"law": "normal"})
    drawn = law.draw(WIDE, 3, 0, 6)
    assert law.draw(WIDE, 3, 4, 2).tobytes() == drawn[4:].tobytes()
    assert (law.draw(WIDE, 4, 0, 6)[drawn != 0.0] != drawn[drawn != 0.0]).all()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, r"^law: missing; give a law, or laws of w, b, v and c"),
    (
        {"law": "normal", "w": {"law": "normal"}},
        r"^w: has no law of its own beside the law 'normal'",
    ),
    ({"w": {"law": "normal"}, "scale": 2.0}, r"^scale: is one of each part here"),
    ({"w": {"law": "normal"}, "absolute": True}, r"^absolute: is one of each part here"),
    (
        {"law": "around", "points": [[1.0]], "absolute": True},
        r"^absolute: is not for the law 'around'",
    ),
    ({"w": {"law": "he"}}, r"^w.law: .*allowed: normal, uniform, sphere, constant"),
    ({"w": {}}, r"^w.law: missing"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_bad_laws(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        df.InitializationLaw(**words)

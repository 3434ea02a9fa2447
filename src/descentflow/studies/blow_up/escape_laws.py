"""How flows without a global minimiser run to infinity: their laws and constants, one per target.

Targets and laws are ours, computed in docs/mathematics.md, 4.4 and 4.5. Everything is dimensionless.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from descentflow.studies.blow_up.theory import kappa_squared

E_INVERSE, ZETA_3 = math.exp(-1.0), 1.2020569031595942
SWISH_INFLECTION = 2.3993572805154677
"""The positive root of z tanh(z/2) = 2, where swish'' = 0."""
STEP_OR_HINGE_METRIC = 1.25
"""|dθ|² = (1 + α²) dw² of a neuron whose place stays at α = ½."""
NEAR = 1.0
"""A neuron farther than this from every inflection has left them all behind."""


@dataclass(frozen=True)
class Law:
    """A curve of best networks along which a flow runs to infinity, by its parameter ℓ (4.5).

    L − inf L ≈ ``constant`` ℓ^−``power`` and |dθ|² ≈ ``metric`` dℓ² on it, so that
    ℓ^(power + 2) ∼ power (power + 2) constant t/metric; nan where no constant is known. ``place`` is
    where the neurons' arguments tend to, in their mean: nan where every one has this law, inf where
    they have no limit; then the power is inf as well, and L ∼ 1/t up to powers of log t.
    """

    power: float
    constant: float = math.nan
    metric: float = math.nan
    place: float = math.nan

    @property
    def decay(self) -> float:
        """The exponent of L − inf L in t."""
        return -1.0 / (1.0 + 2.0 / self.power)

    @property
    def growth(self) -> float:
        """The exponent of ℓ in t; 0 for a logarithm."""
        return 1.0 / (self.power + 2.0)

    def length(self, time: float) -> float:
        """ℓ at a late time."""
        if math.isinf(self.power):
            return math.nan
        steepness = self.power * (self.power + 2.0) * self.constant / self.metric
        return float((steepness * time) ** self.growth)

    def excess(self, time: float) -> float:
        """L − inf L at a late time."""
        if math.isinf(self.power):
            return math.nan
        return float(self.constant * self.length(time) ** -self.power)


WITHOUT_LIMIT = Law(math.inf, place=math.inf)


def laws(case: str, activation: str, hidden: int) -> tuple[Law, ...]:
    """Return the laws of a target, an activation and a width; none where none is known."""
    return _LAWS.get((case, activation, hidden), ())


def relu_step(jump: float) -> Law:
    """Return the law of two ReLUs and the step at α = ``jump``, ℓ = ‖Θ‖ (4.3)."""
    return Law(2.0, kappa_squared(jump) / 12.0, 1.0)


def law_at(known: Sequence[Law], place: float) -> Law:
    """Return the law of a flow whose neurons are at ``place`` in the end, in the mean."""

    def distance(law: Law) -> float:
        if math.isnan(law.place):
            return 0.0
        return NEAR if math.isinf(law.place) else abs(law.place - place)

    return min(known, key=distance)


def _valley(place: float, level: float, first: float, third: float) -> Law:
    """Return the law of f = x about an inflection with the Taylor coefficients s₀, s₁, 0, s₃ of σ."""
    constant = (third / first) ** 2 / first**4 / 2800.0
    return Law(4.0, constant, 1.0 + level * level, place)


def _affine() -> dict[str, tuple[Law, ...]]:
    """The laws of 4.4."""
    everywhere, root = math.nan, 2.0 / math.sqrt(math.pi)
    found: dict[str, tuple[Law, ...]] = {
        "tanh": (_valley(everywhere, 0.0, 1.0, -1.0 / 3.0),),
        "arctan": (_valley(everywhere, 0.0, 1.0, -1.0 / 3.0),),
        "sin": (_valley(everywhere, 0.0, 1.0, -1.0 / 6.0),),
        "erf": (_valley(everywhere, 0.0, root, -root / 3.0),),
        "logistic": (_valley(everywhere, 0.5, 0.25, -1.0 / 48.0),),
        "softsign": (Law(2.0, 1.0 / 1280.0, 1.0),),
        "softplus": (WITHOUT_LIMIT,),
    }
    for name, taylor, z in (
        ("gelu", _gelu_taylor, math.sqrt(2.0)),
        ("swish", _swish_taylor, SWISH_INFLECTION),
    ):
        found[name] = (*(_valley(place, *taylor(place)) for place in (-z, z)), WITHOUT_LIMIT)
    return found


def _gelu_taylor(z: float) -> tuple[float, float, float]:
    """Taylor coefficients s₀, s₁, s₃ of gelu at its inflections, where z² = 2."""
    share, density = 0.5 * math.erfc(-z / math.sqrt(2.0)), E_INVERSE / math.sqrt(2.0 * math.pi)
    return z * share, share + z * density, -z * density / 3.0


def _swish_taylor(z: float) -> tuple[float, float, float]:
    """Taylor coefficients s₀, s₁, s₃ of swish."""
    share = 1.0 / (1.0 + math.exp(-z))
    first = share * (1.0 - share)
    second, third = first * (1.0 - 2.0 * share), first * (1.0 - 6.0 * first)
    return z * share, share + z * first, (3.0 * second + z * third) / 6.0


_STEP_ONE = {
    "logistic": 2.0 * math.log(2.0) - 1.0,
    "tanh": math.log(2.0) - 0.5,
    "erf": (2.0 - math.sqrt(2.0)) / (2.0 * math.sqrt(math.pi)),
    "clipping": 1.0 / 12.0,
    "arctan": 2.0 * math.log(2.0) / math.pi,
    "softsign": 0.5,
}
"""Squared distances of σ, scaled to the limits 0 and 1, to the nearest step."""

_HINGE_ONE = {
    "softplus": ZETA_3 / 2.0,
    "elu": 5.0 / 6.0 - 2.0 * E_INVERSE,
    "gelu": 4.0 / 3.0 * (1.0 / math.sqrt(2.0 * math.pi) - 5.0 / (8.0 * math.sqrt(math.pi))),
    "swish": 3.0 * ZETA_3 - math.pi**2 / 3.0,
}
"""Squared distances of σ, for elu of σ + 1, to its two asymptotes."""

_PARABOLA_ONE = {
    "gelu": Law(1.0, 5.9575318773075032e-4, 1.0288902113721765),
    "swish": Law(1.0, 6.606977189010071e-4, 1.0775425015751339),
    "sin": Law(2.0, 1.0 / (36.0 * 44100.0), 2.0),
}
_PARABOLA_TWO = {
    "tanh": (Law(4.0, 4.5611855676790742e-9, 14.0 / 3.0),),
    "arctan": (Law(4.0, 1.0010832521655032e-8, 4.4674011002723397),),
    "erf": (Law(4.0, 2.7680526125529834e-9, 5.3616157856324554),),
    "logistic": (
        Law(4.0, 7.2978969082865187e-8, 2.0336735048112146, -2.2924316695611777),
        Law(4.0, 7.2978969082865187e-8, 8.0 / 3.0, 0.0),  # one neuron at each, as σ(−z) = 1 − σ(z)
        Law(4.0, 7.2978969082865187e-8, 5.2996598285221187, 2.2924316695611777),
    ),
    "softplus": (
        Law(4.0, 4.004333008662013e-10, 2.2254365330616272, -1.3169578969248167),
        Law(4.0, 4.004333008662013e-10, 11.664123662620448, 1.3169578969248167),
    ),
}


def _laws() -> dict[tuple[str, str, int], tuple[Law, ...]]:
    """All laws by target, activation and width."""
    found = {("affine", name, 1): known for name, known in _affine().items()}
    for case, power, constants in (("step", 1.0, _STEP_ONE), ("hinge", 3.0, _HINGE_ONE)):
        for name, constant in constants.items():
            found[case, name, 1] = (Law(power, constant, STEP_OR_HINGE_METRIC),)
    for name in ("softplus", "elu", "gelu", "swish"):
        found["step", name, 2] = (Law(1.0),)
    found["step", "relu", 2] = (relu_step(0.5),)
    found["step", "leaky_relu", 2] = (Law(2.0),)
    found |= {("parabola", name, 1): (law,) for name, law in _PARABOLA_ONE.items()}
    found |= {("parabola", name, 2): known for name, known in _PARABOLA_TWO.items()}
    return found


_LAWS = _laws()

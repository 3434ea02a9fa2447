"""Numba's disk cache must not serve code that was compiled before a callee was edited."""

import json
from pathlib import Path

import pytest
from checkout import Checkout

SCRIPT = """
import json, descentflow as df
problem = df.Problem.from_mapping({
    "inputs": {"law": "uniform"},
    "target": {"kind": "constant", "value": 1.0},
    "network": {"hidden": 1},
})
theta = [[0.25, 0.5, -0.75, 0.125]]
after = df.descend(problem, theta, step_size=0.5, steps=2, records_per_decade=1)
print(json.dumps({
    "parameters": after["parameters"].values[0].tolist(),
    "risk": problem.risk(theta[0]).tolist(),
    "gradient": problem.gradient(theta[0]).tolist(),
}))
"""

EDITED = '''

TWELFTH = 1.0


@jit_inline
def gradient(target_table, theta, scratch, out):
    """Write 1 everywhere, which is easy to recognise."""
    for p in range(theta.size):
        out[p] = 1.0
'''


def computed(checkout: Checkout) -> dict[str, list[float]]:
    """What the kernels say."""
    ended = checkout.python("-c", SCRIPT)
    assert ended.code == 0, ended.text
    return dict(json.loads(ended.text))


def entries(checkout: Checkout) -> int:
    """How many compiled functions are on disk."""
    return sum(1 for _ in checkout.kernels.rglob("*.nbc"))


@pytest.mark.parametrize("callee", ["src/descentflow/risk/closed_form_gradient.py"])
def test_an_edited_callee_is_compiled_anew(tmp_path: Path, callee: str) -> None:
    """Its callers, in another file, too; and untouched code is served from the disk."""
    checkout = Checkout.new(tmp_path / "checkout", tmp_path / "kernels")
    before = computed(checkout)
    compiled = entries(checkout)
    assert compiled > 0
    assert computed(checkout) == before
    assert entries(checkout) == compiled
    checkout.edit(callee, EDITED)
    after = computed(checkout)
    assert after["parameters"] != before["parameters"]
    assert after["gradient"] == [1.0] * 4
    assert after["risk"] == before["risk"]
    assert before["parameters"] != after["parameters"]

"""Two published data sets, by mappings alone, at the limits their papers state."""

import numpy as np

import descentflow as df


def test_bad_limit_of_two_regression_lines() -> None:
    """arXiv:2002.04861: He's law with zero biases ends at risk 2, where both sides' lines are 0."""
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "points", "points": [-3, -2, -1, 1, 2, 3]},
            "target": {"kind": "values", "values": [-1, 2, -1, 1, -2, 1]},
            "network": {"hidden": 64},
        }
    )
    theta = df.InitializationLaw("he").draw(problem.layout, 1, 0, 16)
    end = df.descend(problem, theta, step_size=0.005, steps=20_000)["risk"].values[:, -1]
    assert abs(np.median(end) - 2.0) < 1e-6


def test_early_alignment() -> None:
    """arXiv:2401.10791: a balanced small start without output bias ends on the least squares line."""
    problem = df.Problem.from_mapping(
        {
            "inputs": {"law": "points", "points": [-0.75, -0.5, 0.125]},
            "target": {"kind": "values", "values": [1.1, 0.1, 0.8]},
            "network": {"hidden": 200},
        }
    ).train_only(["w", "b", "v"])
    law = df.InitializationLaw("balanced", 1e-3, width_power=-0.5)
    theta = law.draw(problem.layout, 1, 0, 2)
    end = df.descend(problem, theta, step_size=0.02, steps=20_000)
    np.testing.assert_allclose(end["risk"].values[:, -1], 512 / 2925, atol=1e-6)

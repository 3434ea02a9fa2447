"""Write pytorch_updates.json: θ after steps of PyTorch's optimisers with given gradients.

Run with the peers' environment of ``make bench``: python tests/unit/pytorch_updates.py
"""

import json
from pathlib import Path

THETA0 = [1.0, -0.5, 0.25, 2.0]
STEP_SIZE = 0.01
KEPT = (1, 2, 10, 100, 1000)

CASES = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.8, "nesterov": True}),
    "adagrad": ("Adagrad", {}),
    "rmsprop": ("RMSprop", {"alpha": 0.95}),
    "adam": ("Adam", {"betas": (0.8, 0.99), "eps": 1e-6}),
    "amsgrad": ("Adam", {"amsgrad": True}),
    "adamax": ("Adamax", {}),
    "adamw": ("AdamW", {"weight_decay": 0.1}),
}


def gradient(n: int) -> list[float]:
    """Gradients of step n = 1, 2, ..: multiples of 1/1000, falling in size; the last is always 0."""
    values = [((7919 * n * n + 104729 * p + 31 * n) % 2001 - 1000) / 1000 for p in range(3)]
    return [value * (4.0 if n < 50 else 0.25) for value in values] + [0.0]


if __name__ == "__main__":
    import torch  # type: ignore[import-not-found]  # the peers' environment has it alone

    ends = {}
    for method, (name, options) in CASES.items():
        theta = torch.tensor(THETA0, dtype=torch.float64, requires_grad=True)
        optimizer = getattr(torch.optim, name)([theta], lr=STEP_SIZE, **options)
        ends[method] = {}
        for n in range(1, max(KEPT) + 1):
            theta.grad = torch.tensor(gradient(n), dtype=torch.float64)
            optimizer.step()
            if n in KEPT:
                ends[method][n] = theta.detach().tolist()
    table = {"torch": torch.__version__, "theta": ends}
    Path(__file__).with_suffix(".json").write_text(json.dumps(table, indent=1) + "\n")

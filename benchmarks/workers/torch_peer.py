"""The same gradient descent in PyTorch: eager, batched over initialisations, float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch_deep
from protocol import Advance, Case, serve
from torch import Tensor

Gradient = Callable[[Tensor], Tensor]


def split(theta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut a batch of parameter vectors into w, b, v and c, all of them two-dimensional."""
    hidden = (theta.shape[1] - 1) // 3
    w, b, v, c = theta.split([hidden, hidden, hidden, 1], dim=1)
    return w, b, v, c


def join(slope: Tensor, bias: Tensor, w: Tensor, b: Tensor, v: Tensor, offset: Tensor) -> Tensor:
    """Assemble the gradients from E[x r on I_i], E[r on I_i] and E[r]."""
    return torch.cat([v * slope, v * bias, w * slope + b * bias, offset], 1).mul_(2)


def kinks(w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Kinks clipped to [0, 1], and which neurons are active to the right of theirs."""
    flat = w == 0
    kink = torch.where(flat, (b <= 0).to(w.dtype), -b / torch.where(flat, 1.0, w))
    return kink.clamp_(0, 1), w >= 0


def sorted_gradient(case: Case) -> Gradient:
    """Exact: sort kinks and knots, integrate the residual piece by piece in closed form."""
    ends = torch.as_tensor(case.knots[1:])
    bends = [np.append(-np.diff(part), 0.0) for part in (case.slopes, case.intercepts)]
    target_jumps = torch.as_tensor(np.stack(bends))[:, None]
    first_slope, first_intercept = float(case.slopes[0]), float(case.intercepts[0])

    def gradient(theta: Tensor) -> Tensor:
        w, b, v, c = split(theta)
        batch, hidden = w.shape
        size = hidden + ends.shape[0]
        kink, right = kinks(w, b)
        point, order = torch.sort(torch.cat([kink, ends.expand(batch, -1)], 1), dim=1)
        order = order.expand(2, batch, size)
        jump = torch.where(right, v, -v)
        jumps = torch.stack([jump * w, jump * b])
        jumps = torch.cat([jumps, target_jumps.expand(2, batch, -1)], 2).gather(2, order)
        left = torch.where(right, 0.0, v)
        start_slope = (left * w).sum(1, keepdim=True) - first_slope
        start_intercept = (left * b).sum(1, keepdim=True) + c - first_intercept
        line = jumps.cumsum(2).sub_(jumps).add_(torch.stack([start_slope, start_intercept]))
        slope, intercept = line
        before = torch.cat([torch.zeros(batch, 1), point[:, :-1]], 1)
        width, middle = point - before, (point + before).mul_(0.5)
        piece = (slope * middle).add_(intercept).mul_(width)
        moment = middle.mul_(piece).add_(slope * width * width * width, alpha=1 / 12)
        sums = torch.stack([piece, moment]).cumsum(2)
        total = sums[:, :, -1:]
        back = torch.empty_like(sums).scatter_(2, order, sums)[:, :, :hidden]
        bias, slope = torch.where(right, total - back, back)
        return join(slope, bias, w, b, v, total[0])

    return gradient


def points_gradient(case: Case) -> Gradient:
    """The midpoint rule in place of the integral: every neuron at every node."""
    grid, targets = torch.as_tensor(case.grid), torch.as_tensor(case.grid_targets)

    def gradient(theta: Tensor) -> Tensor:
        w, b, v, c = split(theta)
        outputs = torch.addcmul(b[:, None], w[:, None], grid[None, :, None]).clamp_(min=0)
        residual = torch.bmm(outputs, v[:, :, None])[:, :, 0] + c - targets
        residual /= grid.shape[0]
        active = outputs.sign_()
        sums = torch.bmm(torch.stack([residual * grid, residual], 1), active)
        return join(sums[:, 0], sums[:, 1], w, b, v, residual.sum(1, keepdim=True))

    return gradient


def adam_step(case: Case) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """One step of Adam on fresh batches, as many inputs as the case has points."""
    slopes, intercepts = (torch.as_tensor(part) for part in (case.slopes, case.intercepts))
    inner = torch.as_tensor(case.knots[1:-1])

    def step(theta: Tensor, mean: Tensor, square: Tensor, n: Tensor) -> tuple[Tensor, ...]:
        w, b, v, c = split(theta)
        x = torch.rand(theta.shape[0], case.points)
        piece = torch.bucketize(x, inner)
        outputs = torch.addcmul(b[:, None], w[:, None], x[:, :, None]).clamp(min=0)
        residual = torch.bmm(outputs, v[:, :, None])[:, :, 0] + c
        residual = (residual - (slopes[piece] * x + intercepts[piece])) / case.points
        sums = torch.bmm(torch.stack([residual * x, residual], 1), outputs.sign())
        grad = join(sums[:, 0], sums[:, 1], w, b, v, residual.sum(1, keepdim=True))
        mean, square = 0.9 * mean + 0.1 * grad, 0.999 * square + 0.001 * grad * grad
        root = square.sqrt() / (1 - 0.999**n).sqrt() + 1e-8
        return theta - case.step_size / (1 - 0.9**n) * mean / root, mean, square

    return step


def adam(case: Case, compiled: bool) -> Advance:
    """Make Adam ready for a case, eager or by ``torch.compile``."""
    step = adam_step(case)
    if compiled:
        step = torch.compile(step, dynamic=False)

    @torch.inference_mode()
    def advance(steps: int) -> np.ndarray:
        theta = torch.as_tensor(case.theta0)
        mean, square = torch.zeros_like(theta), torch.zeros_like(theta)
        for n in range(1, steps + 1):
            theta, mean, square = step(theta, mean, square, torch.tensor(float(n)))
        return theta.numpy()

    return advance


METHODS = {
    "sorted": (sorted_gradient, None),
    "points": (points_gradient, 1024),
    "deep": (torch_deep.exact_gradient, None),
    "deep_points": (torch_deep.points_gradient, 128),
}
"""Each method with the neurons per block that it runs best with (None: the whole batch)."""


def prepare(method: str, case: Case) -> Advance:
    """Make a method ready for a case; only ``adam_compiled`` is compiled."""
    if method.startswith("adam"):
        return adam(case, method == "adam_compiled")
    make, block = METHODS[method]
    gradient = make(case)
    starts = [torch.as_tensor(part) for part in (case.blocks(block) if block else [case.theta0])]

    @torch.inference_mode()
    def advance(steps: int) -> np.ndarray:
        ends = []
        for start in starts:
            theta = start.clone()
            for _ in range(steps):
                theta.sub_(gradient(theta), alpha=case.step_size)
            ends.append(theta.numpy())
        return np.concatenate(ends)

    return advance


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    serve(f"PyTorch {torch.__version__}", prepare)

"""Gradients of deep ReLU networks with one input in PyTorch, for a batch of parameter vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from protocol import GAUSS, Case
from torch import Tensor

Gradient = Callable[[Tensor], Tensor]
Layers = list[tuple[Tensor, Tensor]]


def split(theta: Tensor, case: Case) -> Layers:
    """Cut parameter vectors (K, P) into W (K, h, h') and b (K, 1, h) of each layer."""
    layers, start = [], 0
    for before, width in case.shapes:
        end = start + width * before
        matrix = theta[:, start:end].view(-1, width, before)
        layers.append((matrix, theta[:, None, end : end + width]))
        start = end + width
    return layers


def apply(layer: tuple[Tensor, Tensor], below: Tensor) -> Tensor:
    """Return z of a layer (K, Q, h)."""
    matrix, bias = layer
    if matrix.shape[2] == 1:
        return torch.addcmul(bias, below, matrix.mT)
    return torch.baddbmm(bias, below, matrix.mT)


def gradient_at(layers: Layers, x: Tensor, weights: Tensor, targets: Tensor) -> Tensor:
    """Back-propagation at weighted nodes (K, Q)."""
    outputs = [x[:, :, None]]
    for layer in layers[:-1]:
        outputs.append(apply(layer, outputs[-1]).clamp(min=0))
    delta = apply(layers[-1], outputs[-1]) - targets[:, :, None]
    delta = delta * (2 * weights[:, :, None])
    parts = []
    for number in range(len(layers) - 1, -1, -1):
        below = outputs[number]
        parts += [delta.sum(1), torch.bmm(delta.mT, below).flatten(1)]
        if number:
            delta = torch.bmm(delta, layers[number][0]) * (below > 0)
    return torch.cat(parts[::-1], 1)


def breakpoints(layers: Layers, case: Case) -> Tensor:
    """Knots and breakpoints, sorted; where there are fewer than there is room for, the end again."""
    (matrix, bias), batch = layers[0], len(layers[0][0])
    low, high = float(case.knots[0]), float(case.knots[-1])
    kinks = (-bias[:, 0] / matrix[:, :, 0]).clamp(low, high)
    knots = torch.as_tensor(case.knots).expand(batch, -1)
    points = torch.cat([knots, kinks], 1).sort(1).values
    for number in range(1, len(layers) - 1):
        z = points[:, :, None]
        for layer in layers[:number]:
            z = apply(layer, z).clamp(min=0)
        z = apply(layers[number], z)
        left, right = z[:, :-1], z[:, 1:]
        bends = ((left > 0) != (right > 0)).flatten(1)
        widths = points.diff(dim=1)[:, :, None]
        places = torch.addcmul(points[:, :-1, None], widths, left / (left - right)).flatten(1)
        # A count and a scatter beat a sort of all the places there could be.
        slots = torch.where(bends, bends.cumsum(1) - 1, case.room).clamp(max=case.room)
        found = torch.full((batch, case.room + 1), high, dtype=points.dtype)
        found = found.scatter(1, slots, places)[:, : case.room]
        points = torch.cat([points, found], 1).sort(1).values
    return points


def exact_gradient(case: Case) -> Gradient:
    """Exact: two Gauss-Legendre nodes on every piece."""
    inner = torch.as_tensor(case.knots[1:-1])
    slopes, intercepts = torch.as_tensor(case.slopes), torch.as_tensor(case.intercepts)

    def gradient(theta: Tensor) -> Tensor:
        layers = split(theta, case)
        points = breakpoints(layers, case)
        half, middle = points.diff(dim=1) / 2, (points[:, 1:] + points[:, :-1]) / 2
        x = torch.cat([middle - GAUSS * half, middle + GAUSS * half], 1)
        piece = torch.bucketize(x, inner)
        return gradient_at(layers, x, half.repeat(1, 2), slopes[piece] * x + intercepts[piece])

    return gradient


def points_gradient(case: Case) -> Gradient:
    """The midpoint rule."""
    grid, targets = torch.as_tensor(case.grid)[None], torch.as_tensor(case.grid_targets)[None]
    weights = torch.full(grid.shape, 1 / case.points)
    return lambda theta: gradient_at(
        split(theta, case), grid.expand(len(theta), -1), weights, targets
    )

"""Random formulas that are right as far as their form goes."""

import random


def grown(rng: random.Random, levels: int) -> str:
    """A formula of so many levels; its value may not be finite."""
    if levels == 0 or rng.random() < 0.15:
        return rng.choice(["x", "x", "1", "2", "0.5", "pi", "1e300", "0"])
    below = [grown(rng, levels - 1) for _ in range(3)]
    kind = rng.randrange(6)
    if kind < 2:
        return f"({below[0]}{rng.choice('+-*/')}{below[1]})"
    if kind == 2:
        return f"{rng.choice(['max', 'min'])}({below[0]}, {below[1]})"
    if kind == 3:
        return f"where({below[0]} {rng.choice(['<', '<=', '>', '>='])} {below[1]}, 1, {below[2]})"
    if kind == 4:
        return f"({below[0]})**{rng.choice(['2', '-3', '(1/4)', '65', '(-1/2)', '1e5'])}"
    functions = ["abs", "sqrt", "exp", "log", "sin", "cos", "tan", "tanh", "arctan", "-"]
    return f"{rng.choice(functions)}({below[0]})"

"""CPU seconds of theorems on arrays, over the scalar one by one; and over numpy's logarithm for as many numbers.

Run: python -m pytest -m benchmark tests/benchmarks/test_bounds.py
"""

import time
from collections.abc import Callable

import numpy as np
import pytest

import pacbound as pb
from pacbound.bounds.occam import occam_binomial, occam_kl

pytestmark = pytest.mark.benchmark
N, DELTA = 60_000, 0.05
MANY, ALONE = 10**6, 1_000
CASES = {
    "occam_kl": (occam_kl, 5_000, 4_000, 0.2),
    "occam_binomial": (occam_binomial, 5_000, 40_000, 0.5),
    "occam_binomial at few bits": (occam_binomial, 0, 70_000, 0.7),
}


@pytest.mark.parametrize("name", CASES)
def test_a_million_inversions(name: str, figure: Callable[..., None], timed: Callable[..., float]) -> None:
    theorem, bits, most_logarithms, most_of_scalar = CASES[name]
    rng = np.random.default_rng(0)
    many = MANY if "kl" in name else MANY // 20
    errors = rng.integers(0, N, many)
    clock = time.process_time
    logarithms = timed(lambda: np.log(rng.random(many)), 5, clock)
    together = timed(lambda: getattr(pb.bounds, theorem.__name__)(errors, N, bits, DELTA), 1, clock)
    few = errors[:ALONE].tolist()
    alone = timed(lambda: [theorem(k, N, bits, DELTA) for k in few], 1, clock) * many / ALONE
    figure(f"{name}, {many:,} at once", together, alone, "one by one", unit="CPU s", most=most_of_scalar)
    figure(f"{name}, {many:,} at once", together, logarithms, "as many logarithms", unit="CPU s", most=most_logarithms)

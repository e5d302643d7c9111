"""Powers of two on a grid of eighths, against 60 decimal digits."""

from decimal import Decimal, localcontext

import pytest

from pacbound.specs.powers import eighth_power


@pytest.mark.parametrize("k", [*range(-40, 41), -255, 255, 1000, -4000])
def test_every_eighth_power_is_the_float64_nearest_to_the_true_one(k: int) -> None:
    with localcontext() as context:
        context.prec = 60
        true = (Decimal(2).ln() * Decimal(k) / 8).exp() if k % 8 else Decimal(2) ** (k // 8)
        assert eighth_power(k) == float(true)


def test_eight_steps_double_exactly() -> None:
    assert all(eighth_power(k + 8) == 2 * eighth_power(k) for k in range(-300, 300))

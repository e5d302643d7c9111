"""Slow truths in mpmath at 60 digits. They share no code, no formula and no library with pacbound.bounds."""

from collections.abc import Callable

import mpmath
import pytest

DIGITS = 60


def log_binomial_cdf(k: int, n: int, p: float) -> mpmath.mpf:
    """ln P[Bin(n, p) <= k] = ln pmf(k) + ln(sum of descending ratios), every term added.

    mpmath.betainc does not converge at these sizes.
    """
    with mpmath.workdps(DIGITS):
        x = mpmath.mpf(p)
        log_pmf = (
            mpmath.loggamma(n + 1)
            - mpmath.loggamma(k + 1)
            - mpmath.loggamma(n - k + 1)
            + k * mpmath.log(x)
            + (n - k) * mpmath.log1p(-x)
        )
        total = term = mpmath.mpf(1)
        odds, nothing = (1 - x) / x, mpmath.mpf(10) ** -DIGITS
        for j in range(k, 0, -1):
            term *= odds * j / (n - j + 1)
            total += term
            if term < total * nothing:
                break
        return log_pmf + mpmath.log(total)


def log_level(bits: float, delta: float) -> mpmath.mpf:
    """ln(delta 2^-bits)."""
    with mpmath.workdps(DIGITS):
        return mpmath.log(mpmath.mpf(delta)) - mpmath.mpf(bits) * mpmath.log(2)


def binary_kl(q: mpmath.mpf, p: mpmath.mpf) -> mpmath.mpf:
    """kl(q || p) in nats."""
    with mpmath.workdps(DIGITS):
        q, p = mpmath.mpf(q), mpmath.mpf(p)
        head = q * mpmath.log(q / p) if q > 0 else mpmath.mpf(0)
        tail = (1 - q) * mpmath.log((1 - q) / (1 - p)) if q < 1 else mpmath.mpf(0)
        return head + tail


@pytest.fixture(scope="session")
def log_cdf_oracle() -> Callable[[int, int, float], mpmath.mpf]:
    return log_binomial_cdf


@pytest.fixture(scope="session")
def log_level_oracle() -> Callable[[float, float], mpmath.mpf]:
    return log_level


@pytest.fixture(scope="session")
def kl_oracle() -> Callable[[mpmath.mpf, mpmath.mpf], mpmath.mpf]:
    return binary_kl

"""Does the promise of whole certificates hold on a task of known risk, and could these tests see it broken?

Each repeat draws another sample, theta0 and projector, trains, codes, decodes, counts and certifies.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pacbound as pb
from pacbound.bits.ledger import Ledger
from pacbound.pipeline.encoding import encode
from pacbound.pipeline.preparation import Setup
from pacbound.training.plain import Encoded
from tests.soundness.task import DELTA, Task, certified

LEARNABLE = Task(n=300, noise=0.1)
NOISE_ALONE = Task(n=60, noise=0.5)  # every network has risk 1/2: what training gains, the bound must give back


def request(repeat: int, **options: object) -> pb.Request:
    return pb.Request.model_validate(
        {
            "d": 8,
            "epochs": 3,
            "rate": 0.5,
            "beta": 0.3,
            "batch": 100,
            "step": 0.5,
            "encoder": "plain",
            "delta": DELTA,
            "seed": repeat % 4,
            "encoder_seed": repeat,
            "repeats": "the source is a finite grid",
            **options,
        }
    )


def greedy(repeat: int) -> pb.Request:
    """Train for the sample alone, as if bits were free."""
    return request(repeat, d=16, epochs=6, rate=0.3, beta=0.01, batch=60)


def run(repeats: int) -> np.ndarray:
    """Bound and true risk of each repeat, shape (repeats, 2)."""
    rows = []
    for repeat in range(repeats):
        certificate, risk = certified(LEARNABLE, repeat, request(repeat))
        rows.append((certificate.bound.value, risk))
    return np.array(rows)


# P[Bin(60, .05) > 8] = .002, P[Bin(300, .05) > 24] = .008
@pytest.mark.parametrize(
    ("repeats", "most"), [pytest.param(60, 8, id="60"), pytest.param(300, 24, id="300", marks=pytest.mark.slow)]
)
def test_certified_risks_are_true_and_not_far_from_it(repeats: int, most: int) -> None:
    bound, risk = run(repeats).T
    assert int((bound < risk).sum()) <= most
    assert float((bound - risk).mean()) <= 0.25
    assert float(risk.mean()) < 0.3, "nothing was learned, so that the certificates say nothing about training"


@pytest.fixture(scope="module")
def trained_once() -> Iterator[None]:
    """Training knows no ledger, so that the tests with their bits and without share its messages."""
    kept: dict[str, Encoded] = {}

    def once(setup: Setup, *rest: Any) -> Encoded:
        if setup.key not in kept:
            kept[setup.key] = encode(setup, *rest)
        return kept[setup.key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacbound.methods.subspace.encode", once)
        yield


@pytest.mark.usefixtures("trained_once")
def test_what_training_gains_on_noise_is_given_back_by_the_bits() -> None:
    results = [certified(NOISE_ALONE, repeat, greedy(repeat), hidden=16) for repeat in range(20)]
    assert sum(certificate.bound.value < risk for certificate, risk in results) <= 4  # P[Bin(20, .05) > 4] = .003
    assert all(risk == pytest.approx(0.5, abs=0.02) for _, risk in results)


@pytest.mark.usefixtures("trained_once")
def test_leaving_the_bits_out_breaks_the_promise_so_that_the_tests_above_can_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pacbound.pipeline.finish.complete", lambda *_, **__: Ledger().declare("nothing", "sabotage"))
    results = [certified(NOISE_ALONE, repeat, greedy(repeat), hidden=16) for repeat in range(24)]
    assert all(certificate.ledger.bits == 0 for certificate, _ in results)
    assert sum(certificate.bound.value < risk for certificate, risk in results) >= 8  # of 24; nominal would be 1

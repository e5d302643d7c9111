"""The posterior encoder of sequences on a bowl whose answer is known, and a killed run that goes on."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbound.errors import QuantizeError
from pacbound.quantize.profile import from_profile
from pacbound.specs.specs import TrellisSpec
from pacbound.training.lattices import stream_price
from pacbound.training.plain import Candidate
from pacbound.training.sequence_posterior import Objective, encode_sequences, settings_of
from pacbound.training.state import Checkpoint

D, N, STEEP = 12, 40_000, 8.0
PLACE = torch.linspace(-0.2, 0.2, D)  # where the bowl has its lowest point
SETTINGS, SHORT = settings_of(200), settings_of(60)


def bowl(w: Tensor, step: int) -> tuple[Tensor, float]:
    """0.5 * STEEP |w - PLACE|^2 nats, in every direction alike."""
    return 0.5 * STEEP * ((w - PLACE) ** 2).sum(), 0.5


def score(w: Tensor, number: int) -> Tensor:
    """Gradients whose outer product has STEEP times the identity as its mean."""
    noise = torch.randn(D, generator=torch.Generator().manual_seed(number))
    return math.sqrt(STEEP) * noise


OBJECTIVE = Objective(bowl, score, D, N, stream_price(N, 2.0))


@pytest.fixture(scope="module")
def whole() -> Candidate:
    """What an undisturbed run finds of the bowl."""
    (found,) = encode_sequences(OBJECTIVE, SETTINGS, 0, Checkpoint(None, "k"), progress=False)
    return found


def decoded(found) -> np.ndarray:
    assert isinstance(found.quantizer, TrellisSpec)
    return from_profile(found.symbols, found.quantizer)


def test_the_bowl_is_found_to_within_what_bits_are_worth(whole):
    """The precision of a posterior is n STEEP / beta + 1 / s^2, beta = sqrt(Var n / (2 nats)): steps follow it."""
    w = decoded(whole)
    nats = 2.0 * D  # about what a coefficient costs, to a factor of two
    width = math.sqrt(math.sqrt(0.5 * N / (2 * nats)) / (N * STEEP))
    assert np.abs(w - PLACE.numpy()).max() < 6 * width
    assert float(bowl(torch.from_numpy(w), 0)[0]) < 0.1 * float(bowl(torch.zeros(D), 0)[0])
    assert whole.symbols.min() >= 0
    assert whole.symbols.max() <= 40


def test_dearer_bits_buy_fewer_symbols(whole):
    def spent(found: Candidate) -> float:
        return float(np.abs(found.symbols.astype(int) - 20).sum())

    objective = Objective(bowl, score, D, N, stream_price(N, 400.0))
    (dear,) = encode_sequences(objective, SETTINGS, 0, Checkpoint(None, "k"), progress=False)
    assert spent(whole) > 1.5 * spent(dear)


@pytest.mark.parametrize("at", [6, 50])
def test_a_killed_run_ends_where_an_undisturbed_one_does(tmp_path, at):
    (whole,) = encode_sequences(OBJECTIVE, SHORT, 0, Checkpoint(None, "k"), progress=False)

    class Killed(Exception):
        pass

    def until(w: Tensor, step: int) -> tuple[Tensor, float]:
        if step == at:
            raise Killed
        return bowl(w, step)

    state = Checkpoint(tmp_path / "run.state", "k")
    saved = state.save

    def every(*rest: object, **options: object) -> None:
        state._pause = 0.0
        saved(*rest, **options)  # type: ignore[arg-type]

    state.save = every  # type: ignore[method-assign]
    with pytest.raises(Killed):
        encode_sequences(Objective(until, score, D, N, stream_price(N, 2.0)), SHORT, 0, state, progress=False)
    (resumed,) = encode_sequences(OBJECTIVE, SHORT, 0, Checkpoint(tmp_path / "run.state", "k"), progress=False)
    assert np.array_equal(resumed.symbols, whole.symbols)
    assert resumed.quantizer == whole.quantizer


def test_what_diverges_late_is_rounded_from_what_was_trained_before(caplog):
    def late(w: Tensor, step: int) -> tuple[Tensor, float]:
        loss, variance = bowl(w, step)
        return (loss * math.nan if step > 180 else loss), variance

    (found,) = encode_sequences(
        Objective(late, score, D, N, stream_price(N, 2.0)), SETTINGS, 0, Checkpoint(None, "k"), progress=False
    )
    assert "Going on with what was trained before" in caplog.text
    assert np.abs(decoded(found) - PLACE.numpy()).max() < 0.1


def test_what_diverges_at_once_is_refused():
    def never(w: Tensor, step: int) -> tuple[Tensor, float]:
        return w.sum() * math.nan, 0.5

    with pytest.raises(QuantizeError, match="the loss became nan in warm"):
        encode_sequences(
            Objective(never, score, D, N, stream_price(N, 2.0)), SETTINGS, 0, Checkpoint(None, "k"), progress=False
        )

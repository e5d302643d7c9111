"""The choice of a quantizer: by what it costs, and never dearer than what it says."""

import math

import numpy as np
import pytest

from pacbound.bits.coder import Encoder
from pacbound.bits.tensors import code_coding, code_tensor
from pacbound.errors import QuantizeError
from pacbound.quantize.rates import QUANTIZERS, Choice, choose, fit_table, table_bits
from pacbound.quantize.tensors import dequantize_tensor
from pacbound.specs.tensors import ZeroTensor


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def bits_of(choice: Choice, shape: tuple[int, ...]) -> int:
    encoder = Encoder()
    code_coding(encoder, "header", "why", shape, choice.coding)
    parts = [part.reshape(-1) for part in (choice.side, choice.values) if part is not None]
    if parts:
        code_tensor(encoder, "tensor", choice.coding, shape, np.concatenate(parts).astype(np.int32))
    return encoder.account.ledger().bits


def loss_of(choice: Choice, w: np.ndarray, h: float) -> float:
    decoded = 0.0 if choice.values is None else dequantize_tensor(choice.coding, choice.values, choice.side)
    return float(h * ((w - decoded) ** 2).sum() / 2)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_the_cost_of_a_choice_is_its_loss_and_about_its_bits(kind: str) -> None:
    w, h, price = weights(40, 30), 1.0, 1e-5
    choice = choose(w, np.array(h), price, [kind])
    bits = bits_of(choice, w.shape)
    assert abs(choice.nats - loss_of(choice, w, h) - price * bits) <= price * 64


def test_the_best_of_all_kinds_is_no_dearer_than_any_of_them() -> None:
    w = weights(30, 20)
    for price in (1e-7, 1e-4, 1e-2):
        single = [choose(w, np.array(1.0), price, [kind]).nats for kind in QUANTIZERS]
        assert choose(w, np.array(1.0), price, QUANTIZERS).nats == min(single)


def test_bits_fall_and_loss_rises_with_the_price() -> None:
    w = weights(50, 40)
    choices = [choose(w, np.array(1.0), price, ["lattice"]) for price in (1e-7, 1e-6, 1e-5, 1e-4)]
    bits = [bits_of(choice, w.shape) for choice in choices]
    losses = [loss_of(choice, w, 1.0) for choice in choices]
    assert bits == sorted(bits, reverse=True)
    assert losses == sorted(losses)


def test_a_fine_lattice_is_near_the_entropy_coded_uniform_quantizer_of_theory() -> None:
    """At high rate D = step^2 / 12 at h(X) - log2(step) bits."""
    w = weights(200, 100)
    choice = choose(w, np.array(1.0), 1e-6, ["lattice"])
    decoded = dequantize_tensor(choice.coding, choice.values, None)  # type: ignore[arg-type]
    step = math.sqrt(12 * float(((w - decoded) ** 2).mean()))
    entropy = 0.5 * math.log2(2 * math.pi * math.e * 0.01)
    assert abs(bits_of(choice, w.shape) / w.size - (entropy - math.log2(step))) < 0.05


def test_weights_that_do_not_matter_are_not_sent() -> None:
    assert choose(weights(20, 20), np.array(0.0), 1e-6, QUANTIZERS).coding == ZeroTensor()
    assert choose(np.zeros((3, 3), np.float32), np.array(1.0), 1e-6, ["nf4"]).coding == ZeroTensor()


def test_rows_of_different_sizes_get_steps_of_their_own() -> None:
    w = weights(16, 200)
    h = np.repeat(np.geomspace(1, 4**5, 16)[:, None], 200, axis=1)
    one = choose(w, h, 1e-4, ["lattice"])
    each = choose(w, h, 1e-4, ["row lattice"])
    assert each.nats < one.nats


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_a_fitted_table_is_close_to_the_entropy(share: float) -> None:
    rng = np.random.default_rng(0)
    symbols = np.where(rng.random(20000) < share, rng.integers(-2, 3, 20000), 0).astype(np.int32) + 2
    p = np.bincount(symbols, minlength=5) / len(symbols)
    entropy = -float(sum(q * math.log2(q) for q in p if q > 0)) * len(symbols)
    assert entropy <= table_bits(fit_table(symbols, 5), symbols) <= entropy * 1.02 + 100


def test_kinds_and_values_that_are_none_are_refused() -> None:
    with pytest.raises(QuantizeError, match="a quantizer is one of"):
        choose(weights(3, 3), np.array(1.0), 1.0, ["vector"])
    with pytest.raises(QuantizeError, match="finite"):
        choose(np.full((2, 2), np.nan, np.float32), np.array(1.0), 1.0, ["lattice"])


def test_a_vector_has_no_rows() -> None:
    assert choose(weights(50), np.array(1.0), 1e-5, ["row lattice"]).coding.kind == "lattice"

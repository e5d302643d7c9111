"""Training on lattices: prices against scipy, gradients, and a killed run that goes on as if nothing had happened."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import laplace

from pacbound.errors import QuantizeError
from pacbound.quantize.tensors import nearest_step, step_size
from pacbound.training.lattices import Lattices, Plan, laplace_nats, stream_price, train_lattices
from pacbound.training.state import Checkpoint


@pytest.mark.parametrize("scale", [0.05, 0.4, 1.0, 7.0])
def test_the_price_is_the_mass_of_a_cell(scale):
    u = np.array([0.0, 0.3, -0.5, 0.9, -3.0, 12.0])
    masses = laplace.cdf(u + 0.5, scale=scale) - laplace.cdf(u - 0.5, scale=scale)
    upper = np.where(u < 0, masses, laplace.sf(u - 0.5, scale=scale) - laplace.sf(u + 0.5, scale=scale))
    kept = upper > 1e-300
    found = laplace_nats(torch.tensor(u[kept]), torch.tensor(scale, dtype=torch.float64))
    assert float(found) == pytest.approx(-np.log(upper[kept]).sum(), rel=1e-4)


def quadratic(tensors, step):
    """A bowl around (1, ..., 1), one nat per entry at distance 1."""
    w = tensors["w"]
    return ((w - 1) ** 2).mean() + (0.0 if step < 10**6 else math.nan), 1.0


def fresh() -> Lattices:
    return Lattices.around({"w": torch.zeros(6)}, {"w": 1.0}, 0.05)


PLAN = Plan(steps=120, rate=0.05, n=10_000, price=stream_price(10_000, 2.0), first=4.0)


def test_training_finds_the_bowl_and_its_integers_are_what_the_network_saw():
    lattices = fresh()
    train_lattices(lattices, quadratic, PLAN, Checkpoint(None, "k"), progress=False)
    steps = lattices.steps()
    values = lattices.integers(steps)["w"] * steps["w"]
    seen, nats = lattices.apply(False, torch.Generator())
    assert np.allclose(values, seen["w"].detach().numpy(), atol=1e-6)
    assert np.allclose(values, 1, atol=0.2)
    assert steps["w"] == pytest.approx(step_size(nearest_step(steps["w"])), rel=1e-6)  # the receiver's own
    assert float(nats.detach()) > 0


def test_an_interrupted_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole, broken, plan = fresh(), fresh(), replace(PLAN, steps=24)
    train_lattices(whole, quadratic, plan, Checkpoint(None, "k"), progress=False)
    state = Checkpoint(tmp_path / "run.state", "k")

    class Killed(Exception):
        pass

    def until(tensors, step):
        if step == 14:
            raise Killed
        return quadratic(tensors, step)

    state._pause = 0.0
    with pytest.raises(Killed):
        train_lattices(broken, until, plan, state, progress=False)
    again = fresh()
    train_lattices(again, quadratic, plan, Checkpoint(tmp_path / "run.state", "k"), progress=False)
    assert torch.equal(whole.entries["w"], again.entries["w"])
    assert torch.equal(whole.log_steps["w"], again.log_steps["w"])


def test_a_loss_that_is_not_finite_is_refused():
    with pytest.raises(QuantizeError, match="smaller --rate"):
        train_lattices(
            fresh(), lambda tensors, step: (tensors["w"].sum() * math.nan, 1.0), PLAN, Checkpoint(None, "k"), False
        )

"""The plan before the work: it matches what the work then does, and does none of it."""

import gc
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pacbound.data.registry import load
from pacbound.methods.table import certify
from pacbound.pipeline import capturing
from pacbound.pipeline.encoding import BATCH, plan_of
from pacbound.pipeline.forecast import Forecast, forecast
from pacbound.pipeline.preparation import prepare
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network, quick


def plan(**options: object) -> Forecast:
    return forecast(prepare(network(), clouds(), None, quick(**options), "zero_one"))


def test_sizes_epochs_and_memory_are_those_of_the_run() -> None:
    found = plan(epochs=23)
    setup = prepare(network(), clouds(), None, quick(epochs=23), "zero_one")
    assert (found.data, found.n, found.model, found.D, found.d, found.batch) == ("user", 120, "user", 83, 16, 30)
    assert found.epochs == sum(plan_of(setup, Checkpoint(None, "")).epochs) == 23
    assert sum(found.stages.values()) > 0
    assert found.memory_bytes > 2 * 120 * 6 * 4  # the sample as it is stored and as the network reads it


@pytest.mark.parametrize(
    ("options", "item"), [({}, "symbol model"), ({"encoder": "codebook", "code": ("static",)}, "symbol counts")]
)
def test_the_ledger_has_the_items_of_the_certificate_that_follows(options: dict[str, object], item: str) -> None:
    found = plan(**options)
    made = certify(
        network(), clouds(600), request=quick(epochs=20, batch=60, rate=0.1, beta=0.3, **options), progress=False
    )
    assert made.hypothesis.projector is not None
    assert [entry.item for entry in found.ledger] == [entry.item for entry in made.ledger.entries]
    assert item in [entry.item for entry in found.ledger]
    assert found.bits == sum(entry.bits for entry in found.ledger)


def test_more_dimensions_cost_more_bits() -> None:
    bits = [plan(d=d).bits for d in (8, 16, 32, 64)]
    assert np.all(np.diff(bits) > 8)


def test_it_is_quick_writes_nothing_and_draws_from_no_global_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    assert plan(epochs=100_000).seconds > 1
    assert np.random.get_state()[1].tolist() == before
    assert os.listdir(tmp_path) == []


def test_the_pass_through_what_is_frozen_is_part_of_the_time_and_told_apart(tmp_path: Path) -> None:
    assert "frozen part" not in plan().stages
    save_file(network(3).state_dict(), tmp_path / "w.safetensors")
    options = {"checkpoint": str(tmp_path / "w.safetensors"), "disjoint": True, "new_head": True, "train": "head"}
    setup = prepare(Slow(), clouds(), None, quick(**options), "zero_one")
    found = forecast(setup)
    assert found.stages["frozen part"] >= 0.3  # three passes of four batches of 30 examples, a pause for each
    assert found.seconds > found.stages["frozen part"]  # the training comes on top


def test_maps_that_memory_does_not_hold_are_no_pass_of_their_own_and_take_none(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare("flip-bars1-A3-L", load("digits").subset(range(200)), None, quick(d=32), "zero_one")
    held = forecast(setup)
    monkeypatch.setattr(capturing, "limit_bytes", lambda: 1000)
    computed = forecast(setup)
    assert "frozen part" in held.stages
    assert "frozen part" not in computed.stages
    pooled, pixels = 2 * 16 * 3 * 3, 8 * 8  # numbers: two views of 16 maps, and what comes in
    assert held.memory_bytes - computed.memory_bytes == 200 * 4 * (pooled - pixels)
    monkeypatch.setattr(capturing, "limit_bytes", lambda: 1 << 30)
    monkeypatch.setattr(capturing, "WHOLE_BYTES", 1000)
    halves = forecast(setup)
    assert halves.memory_bytes - computed.memory_bytes == 200 * (2 * pooled - 4 * pixels) + BATCH * 4 * pooled


PAUSE = 0.03


class Slow(nn.Sequential):
    """The network of the clouds, which takes its time."""

    def __init__(self) -> None:
        super().__init__(*network())

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(PAUSE)
        return super().forward(x)  # type: ignore[no-any-return]


def test_a_forecast_leaves_nothing_behind() -> None:
    net = nn.Sequential(nn.Linear(6, 40_000), nn.Tanh(), nn.Linear(40_000, 3))
    sizes = (40_000 * 6, 40_000 * 3, 40_000 * 10 + 3)  # numbers of its matrices, and of all

    def held() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) and one.numel() in sizes for one in gc.get_objects())

    before = held()
    forecast(prepare(net, clouds(), None, quick(d=16), "zero_one"))
    assert held() == before

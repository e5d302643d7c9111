"""The plan before the work: it matches what the work then does, and does none of it."""

import gc
import os
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pacbound import stages
from pacbound.data.preprocess import Treated
from pacbound.data.registry import load
from pacbound.methods.plans import plans
from pacbound.methods.table import certify
from pacbound.pipeline import capturing, encoding
from pacbound.pipeline.encoding import BATCH, plan_of
from pacbound.pipeline.forecast import Forecast, forecast
from pacbound.pipeline.memory import peak_bytes
from pacbound.pipeline.preparation import prepare
from pacbound.pipeline.starting import seconds_to_start
from pacbound.request.request import Request
from pacbound.specs.specs import PreprocessSpec, ProjectorSpec
from pacbound.subspace import ekfac
from pacbound.training.fit import Sample
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.several import brief
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
        network(), clouds(300), request=quick(epochs=8, batch=60, rate=0.3, beta=0.3, **options), progress=False
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
    assert "features" not in plan().stages
    save_file(network(3).state_dict(), tmp_path / "w.safetensors")
    options = {"checkpoint": str(tmp_path / "w.safetensors"), "disjoint": True, "new_head": True, "train": "head"}
    setup = prepare(Slow(), clouds(), None, quick(**options), "zero_one")
    found = forecast(setup)
    assert 1 <= found.stages["features"] / PAUSE <= 1 + 120 / 4  # one pass of 120 examples, a pause for each batch
    assert found.stages["counting"] >= 120 * PAUSE  # the whole network is asked about each of them alone
    assert found.seconds > found.stages["features"] + found.stages["counting"]  # the training comes on top


def test_maps_that_memory_does_not_hold_are_no_pass_of_their_own_and_take_none(monkeypatch: pytest.MonkeyPatch) -> None:
    request = quick(d=32, projector="fastfood")
    setup = prepare("flip-bars1-A3-L", load("digits").subset(range(200)), None, request, "zero_one")
    monkeypatch.setattr("pacbound.pipeline.forecast.peak_bytes", lambda *_: 0)  # beside the sample
    held = forecast(setup)
    monkeypatch.setattr(capturing, "limit_bytes", lambda: 1000)
    computed = forecast(setup)
    assert "features" in held.stages
    assert "features" not in computed.stages
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
    net = nn.Sequential(nn.Linear(6, 1001), nn.Tanh(), nn.Linear(1001, 3))
    sizes = (1001 * 6, 1001 * 3, 1001 * 10 + 3)  # numbers of its matrices, and of all

    def held() -> int:
        gc.collect()
        return sum(issubclass(type(one), torch.Tensor) and one.numel() in sizes for one in gc.get_objects())

    before = held()
    forecast(prepare(net, clouds(), None, quick(d=16), "zero_one"))
    assert held() == before


BEHIND_FEATURES = {"model": "bars1-A3-L", "d": 32, "epochs": 1}
FOUND = 1000.0  # seconds, far more than anything else takes here


@pytest.fixture
def slow_directions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let directions, of little noise, take FOUND seconds by every clock; how often they were found."""
    monkeypatch.setattr(ekfac, "EXAMPLES", 128)
    late, found, ours, counter = [0.0], list[int](), stages.clock, time.perf_counter
    eigenvectors = ekfac._moments

    def moments(spec: ProjectorSpec, *rest: Any) -> Any:
        late[0] += FOUND
        found.append(spec.d)
        return eigenvectors(spec, *rest)

    monkeypatch.setattr(ekfac, "_moments", moments)
    monkeypatch.setattr(stages, "clock", lambda: ours() + late[0])
    monkeypatch.setattr(time, "perf_counter", lambda: counter() + late[0])
    ekfac._found.cache_clear()
    return found


def test_a_forecast_and_a_run_tell_the_same_stages_apart_and_both_find_the_directions_once(
    slow_directions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", brief)
    request = Request(**BEHIND_FEATURES)
    plan = plans(request)["subspace"]
    assert isinstance(plan, Forecast)
    assert slow_directions == [32]
    run = certify(request=request, progress=False).environment.seconds
    assert slow_directions == [32, 32]  # a run that begins anew finds them anew
    assert set(run) == set(plan.stages) >= {"directions", "features", "training", "curvature", "counting"}
    for seconds in (plan.stages["directions"], run["directions"]):
        assert FOUND <= seconds < 2 * FOUND
    for told in (plan.stages, run):
        assert sum(told.values()) - told["directions"] < FOUND  # it is in no other stage
    assert plan.seconds == pytest.approx(sum(plan.stages.values()), abs=0.06)


def test_directions_that_are_random_take_no_time_worth_saying(slow_directions: list[int]) -> None:
    plan = plans(Request(**BEHIND_FEATURES, projector="fastfood"))["subspace"]
    assert isinstance(plan, Forecast)
    assert "directions" not in plan.stages
    assert slow_directions == []


def test_what_was_found_before_the_forecast_still_counts(slow_directions: list[int]) -> None:
    setup = prepare(BEHIND_FEATURES["model"], "digits", None, Request(**BEHIND_FEATURES), "zero_one")
    assert slow_directions == [32]
    for _ in range(2):
        assert FOUND <= forecast(setup).stages["directions"] < 2 * FOUND
    assert slow_directions == [32]


class SlowLayer(nn.Linear):
    """A layer that takes its time for each example, and counts them."""

    asked: int | None = None  # nothing is counted, and no time taken, until this is 0

    def forward(self, x: Tensor) -> Tensor:
        if SlowLayer.asked is not None and not torch._C._functorch.maybe_current_level():
            SlowLayer.asked += len(x)
            time.sleep(PAUSE * len(x))
        return super().forward(x)


@pytest.mark.parametrize("train", ["all", "last.*"])
def test_few_examples_are_timed_where_each_takes_long(train: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch has 250 of them, of which a handful of steps are timed; here all that is timed asks about fewer."""
    first, last = (SlowLayer(6, 6), nn.Linear(6, 3)) if train == "last.*" else (nn.Linear(6, 6), SlowLayer(6, 3))
    net = nn.Sequential(OrderedDict(first=first, last=last))
    setup = prepare(net, clouds(5000), None, Request(d=16, train=train, base="values"), "zero_one")
    monkeypatch.setattr(SlowLayer, "asked", 0)
    found = forecast(setup)
    assert SlowLayer.asked is not None
    assert SlowLayer.asked < 200
    stage, passes = ("training", PosteriorSettings().steps * 250 / 5000) if train == "all" else ("features", 1)
    assert found.stages[stage] == pytest.approx(passes * 5000 * PAUSE, rel=0.2)


def test_the_whole_network_is_counted_not_its_trained_part_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    net, n = nn.Sequential(OrderedDict(first=nn.Linear(6, 6), last=SlowLayer(6, 3))), 5000
    setup = prepare(net, clouds(n), None, Request(d=16, train="last.*", base="values"), "zero_one")
    monkeypatch.setattr(SlowLayer, "asked", 0)
    found, asked = forecast(setup).stages["counting"], 3 * n + 2 * n + 3 * 500  # of each candidate; of one; before that
    assert found == pytest.approx((asked + 1000 + 2) * PAUSE, rel=0.2)  # and alone


def test_few_examples_are_timed_of_a_theta0_where_each_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Linear(6, 6), SlowLayer(6, 3))
    setup = prepare(net, clouds(5000), None, Request(d=16, prior_share=0.5), "zero_one")
    monkeypatch.setattr(SlowLayer, "asked", 0)
    seconds = seconds_to_start(setup)
    assert SlowLayer.asked is not None
    assert SlowLayer.asked < 150  # a batch has 125, of which six are timed
    assert seconds == pytest.approx(20 * 2500 * PAUSE, rel=0.2)  # 20 passes


def test_copies_of_what_lies_near_the_boundary_count_as_the_sample_holds_them() -> None:
    x, y, held = torch.rand(20_000, 600), torch.arange(20_000) % 3, []
    halves = Treated(x.half(), PreprocessSpec(), x.device)
    net = nn.Linear(600, 3)
    subspace = prepare(net, (x[:9], y[:9]), None, Request(d=16), "zero_one").subspace()
    for sample in (Sample(x, y), Sample(halves, y)):
        held.append(peak_bytes(subspace, sample, 30, rounded=True))
    assert held[0] - held[1] == (12_000 + 4_000) * 600 * 2  # those that moves are judged on, and of these the nearest

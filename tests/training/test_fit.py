"""The optimizer against a plain loop of its own, and resumed runs against uninterrupted ones, bit for bit."""

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from pacbound.errors import QuantizeError, StateError
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.subspace import Subspace
from pacbound.training.fit import Sample, fit
from pacbound.training.phases import Continuous, NearestCentroid, Parameters, Phase, StraightThrough, UniformNoise
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network

D = 83
STEP = 0.125
DESCENT = (Phase("noise", UniformNoise(STEP), 3, {"w": 0.5, "log_scale": 0.02}, beta=1.0, optimizer="sgd"),)
BOTH = {"w": 0.05, "log_scale": 0.02}
PHASES = (
    Phase("noise", UniformNoise(STEP), 2, BOTH, beta=1.0),
    Phase("rounding", StraightThrough(STEP), 2, {"w": 0.01}, "error_probability", 0.5),
)


def subspace() -> Subspace:
    return make_subspace(make_base(network(), None), ProjectorSpec(kind="fastfood", D=D, d=16), True)


def sample() -> Sample:
    return Sample(*clouds(50))


def start() -> Parameters:
    return {"w": torch.zeros(16), "log_scale": torch.zeros(())}


class Recorder:
    """Keeps what the phases started and ended with."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[tuple[str, Parameters]] = []

    def on_start(self, phase: Phase, parameters: Parameters) -> Parameters:
        self.started.append(phase.name)
        return parameters

    def on_end(self, phase: Phase, parameters: Parameters) -> None:
        self.ended.append((phase.name, parameters))


def run(checkpoint: Checkpoint, phases: tuple[Phase, ...] = PHASES, seed: int = 1) -> Recorder:
    recorder = Recorder()
    fit(subspace(), sample(), phases, start(), 20, seed, checkpoint, recorder.on_start, recorder.on_end, False)
    return recorder


class Unspaced(Checkpoint):
    """Saves whenever it is asked to, and stops the run at one of these moments."""

    def __init__(self, path: Path, key: str, stop_at: int | None = None) -> None:
        super().__init__(path, key)
        self.stop_at = stop_at
        self.saves = 0

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        super().save(tensors, force=True)
        self.saves += 1
        if self.saves == self.stop_at:
            raise KeyboardInterrupt


@functools.cache
def whole() -> Recorder:
    """A run that nobody stopped."""
    return run(Checkpoint(None, "key"))


def assert_same(one: Recorder, other: Recorder, phases: tuple[Phase, ...] = PHASES) -> None:
    assert [name for name, _ in one.ended] == [name for name, _ in other.ended] == [phase.name for phase in phases]
    for (_, here), (_, there) in zip(one.ended, other.ended, strict=True):
        assert here.keys() == there.keys()
        assert all(torch.equal(here[name], there[name]) for name in here)


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4])
def test_a_run_stopped_after_any_epoch_ends_as_if_it_had_not_been(tmp_path: Path, stop_at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Unspaced(tmp_path / "s", "key", stop_at))
    resumed = run(Unspaced(tmp_path / "s", "key"))
    assert_same(resumed, whole())


def test_descent_is_resumed_with_its_momentum(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Unspaced(tmp_path / "s", "key", 2), DESCENT)
    resumed = run(Unspaced(tmp_path / "s", "key"), DESCENT)
    assert_same(resumed, run(Checkpoint(None, "key"), DESCENT), DESCENT)


def test_a_run_stopped_after_every_epoch_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            run(Unspaced(tmp_path / "s", "key", 1))
    resumed = run(Unspaced(tmp_path / "s", "key"))
    assert resumed.started == []  # all had been done; only the ends are called again
    assert_same(resumed, whole())


def test_a_run_that_rests_in_the_middle_of_a_phase_depends_on_its_moments(tmp_path: Path) -> None:
    """Sabotage from outside: the state without Adam's moments must not give the same end."""
    with pytest.raises(KeyboardInterrupt):
        run(Unspaced(tmp_path / "s", "key", 1))
    saved = Checkpoint(tmp_path / "s", "key").load()
    assert saved is not None
    saved = {name: torch.zeros_like(value) if "exp_avg" in name else value for name, value in saved.items()}
    Checkpoint(tmp_path / "s", "key").save(saved)
    resumed = run(Checkpoint(tmp_path / "s", "key"))
    assert not torch.equal(resumed.ended[-1][1]["w"], whole().ended[-1][1]["w"])


def test_a_codebook_phase_resumes_too(tmp_path: Path) -> None:
    phases = (
        Phase("continuous", Continuous(), 1, {"w": 0.05}),
        Phase("codebook", NearestCentroid(), 2, {"w": 0.05, "centroids": 0.05}),
    )

    def once(checkpoint: Checkpoint) -> Parameters:
        recorder = Recorder()

        def begin(phase: Phase, parameters: Parameters) -> Parameters:
            if phase.name == "continuous":
                return parameters
            return {**parameters, "centroids": torch.tensor([-0.1, 0.0, 0.1])}

        first = {"w": torch.zeros(16)}
        fit(subspace(), sample(), phases, first, 20, 1, checkpoint, begin, recorder.on_end, False)
        return recorder.ended[-1][1]

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            once(Unspaced(tmp_path / "s", "key", 1))
    resumed, whole = once(Checkpoint(tmp_path / "s", "key")), once(Checkpoint(None, "key"))
    assert torch.equal(resumed["w"], whole["w"])
    assert torch.equal(resumed["centroids"], whole["centroids"])


def by_hand(phase: Phase, values: Mapping[str, Tensor], index: int, batch: int, seed: int) -> dict[str, Tensor]:
    """Adam written out (Kingma and Ba 2015, algorithm 1), with the network as two matrix products."""
    space, data = subspace(), sample()
    matrix = space.projector.as_matrix()
    assert space.scale is not None
    values = {name: value.clone() for name, value in values.items()}
    first = {name: torch.zeros_like(values[name]) for name in phase.rates}
    second = {name: torch.zeros_like(values[name]) for name in phase.rates}
    steps, each = 0, len(data.y) // batch
    power_1, power_2 = 1.0, 1.0
    for epoch in range(phase.epochs):
        generator = Generator().manual_seed((seed * 1_000_003 + index) * 1_000_003 + epoch)
        order = torch.randperm(len(data.y), generator=generator)
        for k in range(each):
            rows = order[k * batch : (k + 1) * batch]
            live = {name: value.clone().requires_grad_(name in phase.rates) for name, value in values.items()}
            w, nats = phase.relaxation.apply(live, generator)
            theta = space.theta0 + space.scale * (matrix @ w)
            hidden = F.relu(data.x[rows] @ theta[:48].view(8, 6).T + theta[48:56])
            logits = hidden @ theta[56:80].view(3, 8).T + theta[80:]
            p = logits.softmax(1)[torch.arange(batch), data.y[rows]]
            loss = -p.log().mean() if phase.surrogate == "cross_entropy" else 1 - p.mean()
            (loss + phase.beta * nats / len(data.y)).backward()
            progress = steps / (each * phase.epochs)
            up = progress < 0.3
            angle = progress / 0.3 if up else (progress - 0.3) / 0.7
            height = (1 - math.cos(math.pi * angle)) / 2 if up else (1 + math.cos(math.pi * angle)) / 2
            lowest = 0.04 if up else 1e-4
            factor, beta_1 = lowest + (1 - lowest) * height, 0.95 - 0.1 * height
            steps += 1
            power_1, power_2 = beta_1**steps, 0.999**steps
            for name, rate in phase.rates.items():
                slope = live[name].grad
                assert slope is not None
                first[name] = beta_1 * first[name] + (1 - beta_1) * slope
                second[name] = 0.999 * second[name] + 0.001 * slope**2
                step = (first[name] / (1 - power_1)) / ((second[name] / (1 - power_2)).sqrt() + 1e-8)
                values[name] = values[name] - rate * factor * step
    return dict(values)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
def test_a_phase_is_adam_on_surrogate_plus_beta_nats_over_n(phase: Phase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.subspace.subspace.has_bfloat16", lambda device: False)
    recorder = run(Checkpoint(None, "key"), (phase,))
    expected = by_hand(phase, start(), 0, 20, 1)
    found = recorder.ended[0][1]
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.allclose(found[name], expected[name], rtol=1e-3, atol=1e-5)
        assert (name in phase.rates) != torch.equal(found[name], start()[name])


def test_descent_moves_coefficients_by_momentum_and_leaves_all_else_to_adam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps on the whole sample, written out; log_scale goes as it would beside Adam."""
    monkeypatch.setattr("pacbound.subspace.subspace.has_bfloat16", lambda device: False)
    phase = Phase("rounding", StraightThrough(STEP), 2, {"w": 0.5, "log_scale": 0.02}, beta=1.0, optimizer="sgd")
    recorder = Recorder()
    fit(subspace(), sample(), (phase,), start(), 50, 1, Checkpoint(None, ""), recorder.on_start, recorder.on_end)
    found, space, data = recorder.ended[0][1], subspace(), sample()
    values, velocity, moved = start(), torch.zeros(16), []
    for progress in (0.0, 0.5):
        live = {name: value.clone().requires_grad_() for name, value in values.items()}
        w, nats = phase.relaxation.apply(live, Generator())
        (F.cross_entropy(space.call(w, data.x), data.y) + nats / 50).backward()
        angle = (progress - 0.3) / 0.7
        factor, momentum = (0.04, 0.95) if progress == 0 else (
            1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * angle)) / 2, 0.95 - 0.1 * (1 + math.cos(math.pi * angle)) / 2
        )  # fmt: skip
        assert live["w"].grad is not None
        velocity = momentum * velocity + live["w"].grad
        values = {**values, "w": values["w"] - 0.5 * factor * velocity}
        moved.append(values["w"])
        if not progress:
            values["log_scale"] = -0.02 * 0.04 * torch.sign(live["log_scale"].grad)  # type: ignore[arg-type]  # Adam's first
    assert torch.allclose(found["w"], values["w"], rtol=1e-3, atol=1e-6)
    assert not torch.allclose(found["w"], moved[0], rtol=1e-3)
    assert float(found["log_scale"]) != 0


def test_the_price_pulls_coefficients_to_zero() -> None:
    free = run(Checkpoint(None, "key"), (replace(PHASES[0], beta=0.0, epochs=6),)).ended[0][1]["w"]
    priced = run(Checkpoint(None, "key"), (replace(PHASES[0], beta=20.0, epochs=6),)).ended[0][1]["w"]
    assert float(priced.norm()) < 0.8 * float(free.norm())


def test_the_largest_seeds_are_seeds_too() -> None:
    ended = [run(Checkpoint(None, "key"), seed=(1 << 31) + k).ended[-1][1]["w"] for k in (-1, 63)]  # of 64 seeds
    assert not torch.equal(*ended)


def test_the_seed_orders_the_examples() -> None:
    one, other = whole(), run(Checkpoint(None, "key"), seed=2)
    assert not torch.equal(one.ended[-1][1]["w"], other.ended[-1][1]["w"])


def test_a_batch_larger_than_the_sample_is_the_sample() -> None:
    recorder = Recorder()
    phases = (replace(PHASES[0], epochs=1),)
    fit(subspace(), sample(), phases, start(), 10_000, 1, Checkpoint(None, ""), recorder.on_start, recorder.on_end)
    assert not torch.equal(recorder.ended[0][1]["w"], start()["w"])


def test_training_does_not_touch_what_it_was_given() -> None:
    given, data, space = start(), sample(), subspace()
    before = (data.x.clone(), space.theta0.clone())
    recorder = Recorder()
    fit(space, data, PHASES, given, 20, 1, Checkpoint(None, ""), recorder.on_start, recorder.on_end, False)
    assert torch.equal(given["w"], torch.zeros(16))
    assert torch.equal(data.x, before[0])
    assert torch.equal(space.theta0, before[1])


def test_a_loss_that_is_not_finite_is_refused_and_names_the_phase() -> None:
    with pytest.raises(QuantizeError, match=r"phase noise. Lower the rate"):
        run(Checkpoint(None, ""), (replace(PHASES[0], rates={"w": 1e35}),))


def test_a_state_of_another_run_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Unspaced(tmp_path / "s", "one", 1))
    with pytest.raises(StateError, match="another request"):
        run(Checkpoint(tmp_path / "s", "two"))

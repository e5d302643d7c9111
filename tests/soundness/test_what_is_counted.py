"""What a certificate counts is what its message decodes to: every step rebuilt here by other means."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn

import pacbound as pb
from pacbound.bits.message import unpack
from pacbound.errors import DataError, ModelError
from pacbound.networks.hypothesis import make_base
from pacbound.pipeline.encoding import encode
from pacbound.pipeline.finish import finish
from pacbound.pipeline.preparation import prepare
from pacbound.specs.specs import LatticeSpec
from pacbound.subspace.layout import Layout
from pacbound.subspace.projectors import make_projector
from pacbound.subspace.subspace import layer_scale
from pacbound.training.state import Checkpoint
from tests.soundness.task import TIE, Task, certified, decode, network

TASK = Task(n=200, noise=0.1)


def request(**options: object) -> pb.Request:
    common = {"d": 8, "epochs": 3, "rate": 0.4, "beta": 0.3, "batch": 50, "step": 0.5, "encoder": "plain"}
    common |= {"base": "values", "repeats": "the source is a finite grid"}
    return pb.Request.model_validate({**common, **options})


@functools.cache
def made(repeat: int) -> pb.Certificate:
    """That of a repeat, from a seed of its own."""
    return certified(TASK, repeat, request(seed=repeat))[0]


def rebuilt(certificate: pb.Certificate, module: nn.Module) -> nn.Module:
    """The decoded network by hand: theta0 + scale * (P w) with P as a matrix, and w from the symbols."""
    spec = certificate.hypothesis
    _, symbols, _ = unpack(certificate.payload(), spec)
    assert isinstance(spec.quantizer, LatticeSpec)
    assert spec.projector is not None
    w = (symbols.astype(np.float64) - spec.code.levels // 2) * 2.0 ** (-spec.quantizer.step_index / 8)
    layout = Layout.of(module)
    matrix = make_projector(spec.projector, layout).as_matrix().double()
    start = torch.cat([p.detach().double().reshape(-1) for p in module.parameters()])
    theta = start + layer_scale(layout).double() * (matrix @ torch.from_numpy(w))
    decoded = copy.deepcopy(module).double().eval()
    nn.utils.vector_to_parameters(theta, decoded.parameters())
    return decoded


def errors_by_hand(decoded: nn.Module, x: torch.Tensor, y: torch.Tensor) -> int:
    """Answers that do not lead by more than a near tie, one example at a time."""
    count = 0
    for example, label in zip(x.double(), y.tolist(), strict=True):
        logits = decoded(example[None])[0].tolist()
        rivals = [value for k, value in enumerate(logits) if k != label]
        count += logits[label] - max(rivals) <= TIE * max(map(abs, logits))
    return count


@pytest.mark.parametrize("repeat", range(4))
def test_the_errors_are_those_of_the_network_rebuilt_by_hand(repeat: int) -> None:
    module, (x, y) = network(repeat), TASK.sample(repeat)
    certificate = made(repeat)
    decoded = rebuilt(certificate, module)
    expected = decoded(x.double()).detach()
    torch.testing.assert_close(decode(certificate, module)(x).double(), expected, rtol=1e-5, atol=1e-5)
    assert certificate.risk.errors == errors_by_hand(decoded, x, y)
    assert certificate.risk.n == len(y)


def test_batch_normalisation_answers_by_its_frozen_statistics_not_by_the_batch() -> None:
    x, y = TASK.sample(0)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    module(3 * x + 1)  # statistics from elsewhere, fixed from here on
    certificate = pb.certify(module, (x, y), request=request(), progress=False)
    decoded = rebuilt(certificate, module)
    assert certificate.risk.errors == errors_by_hand(decoded, x, y)
    in_training = copy.deepcopy(decoded).train()
    assert (in_training(x.double()) - decoded(x.double())).abs().max() > 0.01, "the two modes must differ to be told"


def test_a_network_whose_answers_depend_on_the_batch_is_refused() -> None:
    class Centred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x - x.mean(0))

    with pytest.raises(ModelError, match="batch"):
        pb.certify(Centred(), TASK.sample(0), request=request(), progress=False)


def test_dropout_is_off_where_errors_are_counted() -> None:
    x, y = TASK.sample(1)
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Dropout(0.5), nn.Linear(6, 2))
    certificate = pb.certify(module, (x, y), request=request(), progress=False)
    assert certificate.risk.errors == errors_by_hand(rebuilt(certificate, module), x, y)


def test_near_ties_count_as_errors_so_that_another_machine_finds_no_more() -> None:
    class Undecided(nn.Module):
        """Always the right class of two, by too little."""

        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.one + 5e-5 * x[:, 0], self.one.expand(len(x))], 1)

    x = torch.linspace(-1, 1, 50)[:, None]
    y = (x[:, 0] < 0).long()
    certificate = pb.certify(Undecided(), (x, y), request=request(d=1, projector="identity"), progress=False)
    assert certificate.risk.errors == 50


def test_the_callers_module_and_random_numbers_are_left_as_they_were() -> None:
    module = network(0).train()
    before, state = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    pb.certify(module, TASK.sample(0), request=request(), progress=False)
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_seed_is_paid_for_so_that_the_best_of_fifty_is_no_gift() -> None:
    requests = [request(seed=seed, base="seeded") for seed in (0, 49)]
    certificates = [pb.certify(network(0), TASK.sample(0), request=r, progress=False) for r in requests]
    first, fiftieth = ({entry.item: entry.bits for entry in c.ledger.entries} for c in certificates)
    gamma = 2 * 5  # 49 + 1 lies between 2^5 and 2^6: five bits for its length and five for its digits
    assert fiftieth["projector"] - first["projector"] == gamma
    assert fiftieth["base"] - first["base"] == gamma


def test_defaults_tuned_on_a_data_set_cost_eight_bits_there_and_nothing_elsewhere() -> None:
    digits = pb.load("digits").subset(range(200))
    quick = request(epochs=1, batch=200, d=4, base="seeded")
    tuned = pb.certify("mlp", digits, request=quick, progress=False)
    noise = torch.randint(0, 17, digits.x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    own = pb.certify("mlp", (noise, digits.y), request=quick, progress=False)
    paid = [[e.bits for e in c.ledger.entries if e.item == "package defaults"] for c in (tuned, own)]
    assert paid == [[8], []]


def test_a_data_set_handed_over_under_another_name_pays_for_the_look_at_it() -> None:
    digits = pb.load("digits")
    made = pb.certify(
        "mlp", (digits.x, digits.y), request=request(epochs=1, batch=1797, d=4, base="seeded"), progress=False
    )
    assert made.data.name == "user"
    paid = [entry for entry in made.ledger.entries if entry.item == "package defaults"]
    assert [(entry.bits, "looking at digits" in entry.why) for entry in paid] == [(8, True)]


@pytest.mark.parametrize("form", ["float32 / 16", "two rows exchanged", "part of it, standardised", "channels last"])
def test_tuned_data_in_another_form_pay_for_the_look_at_them(form: str) -> None:
    digits = pb.load("digits")
    x, y = digits.x.float() / 16, digits.y
    if form == "two rows exchanged":
        order = torch.tensor([1, 0, *range(2, len(y))])
        x, y = digits.x[order], y[order]
    if form == "part of it, standardised":
        x, y = (x[100:300] - x.mean()) / x.std(), y[100:300]
    if form == "channels last":
        x = x.permute(0, 2, 3, 1)
    made = pb.certify("mlp", (x, y), request=request(epochs=1, batch=1797, d=4, base="seeded"), progress=False)
    assert (made.data.name, made.data.like) == ("user", "digits")
    paid = [entry for entry in made.ledger.entries if entry.item == "package defaults"]
    assert [(entry.bits, "looking at digits" in entry.why) for entry in paid] == [(8, True)]
    assert "tuned data" in pb.verify(made, data=(x, y)).require().passed


def test_doing_nothing_is_a_message_too_and_pays_for_saying_so() -> None:
    noise = Task(n=60, noise=0.5)
    certificate, _ = certified(noise, 0, request(beta=100.0, step=0.01))
    assert certificate.hypothesis.projector is None
    flag = next(entry for entry in certificate.ledger.entries if entry.item == "zero flag")
    assert flag.bits == 1
    assert next(entry for entry in made(0).ledger.entries if entry.item == "zero flag").bits == 1


def test_the_bound_is_that_of_all_bits_in_the_ledger() -> None:
    certificate = made(2)
    bits = sum(entry.bits for entry in certificate.ledger.entries)
    assert bits >= 8 * len(certificate.payload()) - 40 - 32  # the payload is whole words of 32 bits
    assert certificate.bound.value == pb.bound(certificate.risk.errors, TASK.n, bits, 0.05).value
    assert certificate.bound.value > pb.bound(certificate.risk.errors, TASK.n, bits - 1, 0.05).value


def test_examples_that_change_while_training_are_refused() -> None:
    x, y = TASK.sample(0)
    setup = prepare(network(0), (x, y), None, request(), "zero_one")
    encoded = encode(setup, Checkpoint(None, setup.key), progress=False)
    setup.train.x[0] += 1
    with pytest.raises(DataError, match="changed"):
        finish(setup, encoded, {}, progress=False)


def test_a_certificate_of_the_pipeline_stands_at_every_level(tmp_path) -> None:
    module, sample, certificate = network(3), TASK.sample(3), made(3)
    certificate.save(tmp_path / "task.json")
    result = pb.verify(tmp_path / "task.json", data=sample, model=module)
    assert result.stands, result.reason
    assert result.level == "risk"
    assert result.recount == certificate.risk
    other = pb.verify(tmp_path / "task.json", data=sample, model=network(4))
    assert other.failed == "network", "theta0 handed over is known by its digest"
    assert make_base(network(4), None).origin != certificate.hypothesis.base

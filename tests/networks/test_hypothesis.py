"""The decoded network against an independent rebuild: dense matrices, and layers written out by hand."""

import copy
import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pacbound.bits.message import pack
from pacbound.errors import MessageError, ModelError, SubspaceError
from pacbound.models.reference import build
from pacbound.networks.hypothesis import Hypothesis, make_base, make_zero_base, values_digest
from pacbound.networks.risk import evaluate
from pacbound.specs.specs import (
    BaseOrigin,
    CodebookSpec,
    CodeSpec,
    HypothesisSpec,
    LatticeSpec,
    PreprocessSpec,
    ProjectorSpec,
)
from pacbound.subspace.layout import Layout
from pacbound.subspace.projectors import make_projector
from tests.tiny import clouds, decoded, examples, lattice_spec, network

SYMBOLS = np.random.default_rng(0).integers(0, 9, 12).astype(np.int32)


def dense_w(symbols: np.ndarray, step: Fraction = Fraction(1, 8)) -> Tensor:
    return torch.tensor([float((int(s) - 4) * step) for s in symbols], dtype=torch.float64)


def flat(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().double().reshape(-1) for p in module.parameters()])


def dense_theta(module: nn.Module, symbols: np.ndarray, scale: Tensor | float = 1.0) -> Tensor:
    """theta0 + scale * (P w) in float64, P written out."""
    layout = Layout.of(module)
    matrix = make_projector(ProjectorSpec(kind="fastfood", D=layout.D, d=len(symbols), seed=1), layout).as_matrix()
    return flat(module) + scale * (matrix.double() @ dense_w(symbols))


def mlp_by_hand(theta: Tensor, x: Tensor) -> Tensor:
    hidden = (x.double() @ theta[:48].view(8, 6).T + theta[48:56]).clamp(min=0)
    return hidden @ theta[56:80].view(3, 8).T + theta[80:83]


def test_the_network_that_is_evaluated_is_the_decoded_one() -> None:
    x, _ = clouds()
    expected = mlp_by_hand(dense_theta(network(), SYMBOLS), x)
    logits = decoded(network(), SYMBOLS)(x)
    assert logits.dtype == torch.float32
    assert torch.allclose(logits.double(), expected, atol=1e-5)
    assert not torch.allclose(logits.double(), mlp_by_hand(flat(network()), x), atol=0.1)


def test_another_symbol_is_another_network() -> None:
    x, _ = clouds()
    other = SYMBOLS.copy()
    other[3] = (other[3] + 1) % 9
    assert not torch.allclose(decoded(network(), SYMBOLS)(x), decoded(network(), other)(x), atol=1e-3)


def test_w_zero_is_theta0_itself() -> None:
    x, _ = clouds()
    assert torch.equal(decoded(network())(x), network()(x))


def test_the_layer_scale_is_the_power_of_two_nearest_to_he_times_root_D() -> None:
    def nearest(he: float) -> float:
        return 2 ** (round(8 * math.log2(he * math.sqrt(83))) / 8)

    per_slot = [(48, math.sqrt(2 / 6)), (8, 0.1), (24, math.sqrt(2 / 8)), (3, 0.1)]
    scale = torch.tensor([nearest(he) for count, he in per_slot for _ in range(count)], dtype=torch.float64)
    x, _ = clouds()
    expected = mlp_by_hand(dense_theta(network(), SYMBOLS, scale), x)
    assert torch.allclose(decoded(network(), SYMBOLS, layer_scale=True)(x).double(), expected, atol=2e-5)


def test_a_convolutional_network_on_pixels_is_rebuilt_with_its_preprocessing() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    pixels = torch.randint(0, 256, (7, 1, 4, 4), dtype=torch.uint8)
    theta = dense_theta(net, SYMBOLS)
    x = (pixels.double() / 255 - 0.125) / 0.3125
    patches = F.unfold(x, 3)  # (7, 9, 4)
    maps = torch.einsum("oc,ncl->nol", theta[:18].view(2, 9), patches) + theta[18:20, None]
    expected = maps.clamp(min=0).flatten(1) @ theta[20:44].view(3, 8).T + theta[44:47]
    logits = decoded(net, SYMBOLS, preprocess=PreprocessSpec(name="ink"))(pixels)
    assert torch.allclose(logits.double(), expected, atol=1e-4)


def test_a_codebook_is_rebuilt_from_its_bit_patterns() -> None:
    x, _ = clouds()
    symbols = SYMBOLS % 3
    spec = CodebookSpec(centroids=(0xB800, 0x0000, 0x3400))  # -0.5, 0, 0.25
    hypothesis = decoded(network(), symbols, quantizer=spec, code=CodeSpec(kind="adaptive", levels=3))
    matrix = make_projector(ProjectorSpec(kind="fastfood", D=83, d=12, seed=1)).as_matrix().double()
    theta = flat(network()) + matrix @ torch.tensor([-0.5, 0.0, 0.25], dtype=torch.float64)[symbols]
    assert torch.allclose(hypothesis(x).double(), mlp_by_hand(theta, x), atol=1e-5)


def test_tied_weights_move_together() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.relu(self.one(x)))

    x, _ = clouds()
    net = Tied()
    theta = dense_theta(net, SYMBOLS).view(6, 6)
    expected = (x.double() @ theta.T).clamp(min=0) @ theta.T
    assert torch.allclose(decoded(net, SYMBOLS)(x).double(), expected, atol=1e-5)


def test_the_callers_module_is_not_touched() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    before = copy.deepcopy(net.state_dict())
    hypothesis = decoded(net, SYMBOLS)
    evaluate(hypothesis, examples(), progress=False)
    assert net.training
    assert all(part.training for part in net.modules())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_batch_norm_uses_the_frozen_statistics_and_dropout_is_off_even_in_train_mode() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
    net[1].running_mean += 0.7
    net[1].running_var *= 3
    x, _ = clouds()
    theta = dense_theta(net, SYMBOLS)
    hidden = x.double() @ theta[:48].view(8, 6).T + theta[48:56]
    hidden = (hidden - 0.7) / math.sqrt(3 + 1e-5) * theta[56:64] + theta[64:72]
    expected = hidden @ theta[72:96].view(3, 8).T + theta[96:99]
    in_train, in_eval = decoded(net.train(), SYMBOLS)(x), decoded(net.eval(), SYMBOLS)(x)
    assert torch.equal(in_train, in_eval)
    assert torch.allclose(in_train.double(), expected, atol=1e-5)


def test_a_bf16_module_is_evaluated_in_float32_from_its_own_values() -> None:
    net = network().bfloat16()
    x, _ = clouds()
    hypothesis = decoded(net, SYMBOLS)
    assert torch.allclose(hypothesis(x).double(), mlp_by_hand(dense_theta(net.float(), SYMBOLS), x), atol=1e-5)
    assert hypothesis(x).dtype == torch.float32
    assert next(network().bfloat16().parameters()).dtype == torch.bfloat16


def test_a_callers_autocast_does_not_reach_the_count() -> None:
    hypothesis, (x, _) = decoded(network(), SYMBOLS), clouds()
    expected = hypothesis(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(hypothesis(x), expected)


def test_a_module_in_float64_is_evaluated_in_float32() -> None:
    x, _ = clouds()
    assert torch.allclose(decoded(network().double())(x), network()(x), atol=1e-6)


def test_a_recurrent_network_is_rebuilt() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.RNN(2, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.cell(x.view(-1, 3, 2))[0][:, -1])

    net = Recurrent()
    x, _ = clouds()
    theta = dense_theta(net, SYMBOLS)
    w_ih, w_hh, b_ih, b_hh = theta[:8].view(4, 2), theta[8:24].view(4, 4), theta[24:28], theta[28:32]
    state = torch.zeros(len(x), 4, dtype=torch.float64)
    for step in range(3):
        state = torch.tanh(x.double().view(-1, 3, 2)[:, step] @ w_ih.T + b_ih + state @ w_hh.T + b_hh)
    assert torch.allclose(decoded(net, SYMBOLS)(x).double(), state @ theta[32:44].view(3, 4).T + theta[44:], atol=1e-5)


def test_a_seeded_base_forgets_what_the_module_held() -> None:
    one, other = (nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)) for _ in range(2))
    other[1].running_mean += 5  # learned from something, perhaps from the sample
    other[1].running_var *= 9
    bases = [make_base(module, 3) for module in (one, other)]
    assert bases[0].origin == bases[1].origin == BaseOrigin(seed=3)
    x, _ = clouds()
    assert torch.equal(bases[0].module(x), bases[1].module(x))
    assert not torch.equal(bases[0].theta0, make_base(one, 4).theta0)
    assert torch.equal(other[1].running_mean, torch.full((8,), 5.0))  # the caller's stay


def test_values_are_digested_with_everything_that_is_frozen() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    net[0].weight.requires_grad_(False)
    digests = {values_digest(net, Layout.of(net))}
    for change in (net[2].weight, net[0].weight, net[1].running_mean):
        with torch.no_grad():
            change.view(-1)[0] += 1
        digests.add(values_digest(net, Layout.of(net)))
    assert len(digests) == 4
    assert make_base(net, None).origin.sha256 in digests


def test_a_hypothesis_is_made_from_a_message_only() -> None:
    base = make_base(network(), None)
    spec = lattice_spec(base, 12, SYMBOLS)
    message, ledger = pack(spec, SYMBOLS)
    with pytest.raises(ModelError, match=r"made by Hypothesis.unpack"):
        Hypothesis(object(), base, spec, SYMBOLS, None, ledger)
    hypothesis = Hypothesis.unpack(message.payload, spec, base)
    assert (hypothesis.spec, hypothesis.ledger) == (spec, ledger)


def test_what_is_declared_beside_the_message_does_not_change_the_network() -> None:
    base = make_base(network(), None)
    spec = lattice_spec(base, 12, SYMBOLS)
    message, _ = pack(spec, SYMBOLS)
    lie = spec.model_copy(update={"quantizer": LatticeSpec(step_index=0), "layer_scale": True})
    x, _ = clouds()
    honest = Hypothesis.unpack(message.payload, spec, base)
    assert torch.equal(Hypothesis.unpack(message.payload, lie, base)(x), honest(x))


def test_another_layout_is_refused() -> None:
    base = make_base(network(), None)
    spec = lattice_spec(base, 12, SYMBOLS)
    message, _ = pack(spec, SYMBOLS)
    with pytest.raises(ModelError, match=r"layout .* Give the architecture"):
        Hypothesis.unpack(message.payload, spec, make_base(nn.Linear(6, 3), None))


@pytest.mark.parametrize("D", [82, 84])
def test_a_subspace_of_another_number_of_parameters_is_refused(D: int) -> None:
    base = make_base(network(), None)
    spec = lattice_spec(base, 12, SYMBOLS, projector=ProjectorSpec(kind="fastfood", D=D, d=12, seed=1))
    message, _ = pack(spec, SYMBOLS)
    with pytest.raises(SubspaceError, match=f"D is the layout's 83, got {D}"):
        Hypothesis.unpack(message.payload, spec, base)


@pytest.mark.parametrize(("module", "seed"), [(network(1), None), (network(), 0)], ids=["other values", "seeded"])
def test_another_base_is_refused(module: nn.Module, seed: int | None) -> None:
    base = make_base(network(), None)
    spec = lattice_spec(base, 12, SYMBOLS)
    message, _ = pack(spec, SYMBOLS)
    with pytest.raises(ModelError, match="Give that theta0"):
        Hypothesis.unpack(message.payload, spec, make_base(module, seed))


def test_a_truncated_message_is_refused() -> None:
    base = make_base(network(), None)
    spec = lattice_spec(base, 12, SYMBOLS)
    payload = pack(spec, SYMBOLS)[0].payload
    with pytest.raises(MessageError):
        Hypothesis.unpack(payload[:-1], spec, base)


@pytest.mark.parametrize("name", ["lenet", "mlp", "cnn", "resnet20", "lenet1", "pooled"])
def test_every_reference_network_is_rebuilt_from_its_seed(name: str) -> None:
    pixels = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    one, other = (make_base(build(name, (1, 28, 28), 10), 7) for _ in range(2))
    spec = HypothesisSpec.model_validate(
        {
            **lattice_spec(one, 12, SYMBOLS).model_dump(),
            "model": name,
            "layer_scale": True,
            "preprocess": {"name": "ink"},
        }
    )
    message, _ = pack(spec, SYMBOLS)
    logits = [Hypothesis.unpack(message.payload, spec, base)(pixels) for base in (one, other)]
    assert logits[0].shape == (3, 10)
    assert torch.equal(logits[0], logits[1])


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (nn.LazyLinear(3), "lazy"),
        (nn.Linear(6, 3, dtype=torch.complex64), "complex64"),
        (nn.ReLU(), "none trainable"),
    ],
)
def test_a_module_without_a_layout_is_refused_by_name(module: nn.Module, complaint: str) -> None:
    with pytest.raises(SubspaceError, match=complaint):
        make_base(module, None)


class OwnNorm(nn.Module):
    """A normalisation by somebody else, whose running means have the usual name."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.running_mean


def test_statistics_that_training_left_in_a_layer_of_ones_own_do_not_pass_for_those_of_a_new_network() -> None:
    trained = nn.Sequential(nn.Linear(6, 3), OwnNorm())
    trained[1].running_mean += 5  # learned from the sample, and in no ledger
    for make in (lambda *names: make_base(trained, 0, *names), lambda *names: make_zero_base(trained, *names)):
        with pytest.raises(ModelError, match=r"1\.running_mean belongs to a layer of its author's own"):
            make()
        base = make(("1.running_mean",))
        assert base.module[1].running_mean[0] == 5  # the user's word that it is a constant
        header = b'["1.running_mean", "torch.float32", [3]]\0'
        values = torch.tensor([5.0, 5.0, 5.0]).numpy().astype("<f4").tobytes()
        assert base.origin.constants == hashlib.sha256(header + values).hexdigest()
    assert make_base(trained, None).origin.sha256 is not None  # values that are handed over carry their digest


class KeptNorm(nn.BatchNorm1d):
    """A batch normalisation that does not forget."""

    def reset_running_stats(self) -> None:
        """Leave them as they are."""


def test_statistics_are_renewed_whatever_a_layer_makes_of_its_reset() -> None:
    switched_off = nn.BatchNorm1d(3)
    switched_off.track_running_stats = False  # evaluation mode reads the means all the same
    for norm in (KeptNorm(3), switched_off):
        norm.running_mean += 5
        norm.running_var *= 7
        for make in (lambda module: make_base(module, 0), make_zero_base):
            renewed = make(nn.Sequential(nn.Linear(6, 3), norm)).module[1]
            assert renewed.running_mean.tolist() == [0, 0, 0]
            assert renewed.running_var.tolist() == [1, 1, 1]


def test_another_buffer_of_a_batch_normalisation_is_no_statistic() -> None:
    norm = nn.BatchNorm1d(3)
    norm.register_buffer("table", torch.tensor([3, 1, 4], dtype=torch.int8))  # learned from the sample
    with pytest.raises(ModelError, match=r"1\.table belongs to a layer of its author's own"):
        make_base(nn.Sequential(nn.Linear(6, 3), norm), 0)

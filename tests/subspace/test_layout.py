"""The zoo: networks that the layout accepts, each with its oracle, and those it refuses by name."""

import hashlib
import json

import pytest
import torch
from torch import nn

from pacbound.errors import SubspaceError
from pacbound.subspace.layout import Layout, frozen_digest


class Tied(nn.Module):
    """An encoder whose weight is also the decoder's."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 3)
        self.decoder = nn.Linear(3, 4)
        self.extra = nn.Linear(4, 3, bias=False)
        self.extra.weight = self.encoder.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x) + self.extra(x))


class WithBuffer(nn.Module):
    """A linear layer and one buffer."""

    def __init__(self, buffer: torch.Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("table", buffer)


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.phase = nn.Parameter(torch.zeros(3, dtype=torch.complex64))


def test_slots_follow_the_order_of_named_parameters() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, (1, 2)), nn.Linear(5, 4))
    found = [(s.name, s.shape, s.start, s.stop, s.fan_in) for s in Layout.of(net).slots]
    assert found == [
        ("0.weight", (3, 2, 1, 2), 0, 12, 4),
        ("0.bias", (3,), 12, 15, 1),
        ("1.weight", (4, 5), 15, 35, 5),
        ("1.bias", (4,), 35, 39, 1),
    ]
    assert Layout.of(net).D == sum(p.numel() for p in net.parameters())


def test_flatten_agrees_with_torch_and_unflatten_inverts_it() -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 2), nn.Linear(5, 4))
    layout = Layout.of(net)
    theta = layout.flatten(net)
    assert torch.equal(theta, nn.utils.parameters_to_vector(net.parameters()))
    for name, tensor in layout.unflatten(theta).items():
        assert torch.equal(tensor, net.get_parameter(name))


def test_flatten_copies_so_that_the_module_stays_untouched() -> None:
    net = nn.Linear(3, 2)
    before = net.weight.clone()
    Layout.of(net).flatten(net).zero_()
    assert torch.equal(net.weight, before)


def test_gathered_parameters_are_views_of_one_vector_and_nothing_is_copied_twice() -> None:
    net = Tied().requires_grad_(True)
    layout, x = Layout.of(net), torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    before, flat = net(x), layout.flatten(net)
    vector = layout.gathered(net)
    assert torch.equal(vector, flat)
    assert torch.equal(net(x), before)
    assert layout.gathered(net).data_ptr() == vector.data_ptr()
    vector += 1
    assert torch.equal(layout.flatten(net), flat + 1)
    net.decoder.bias.data = torch.zeros(4)  # one that has left: all are gathered anew, with their values
    assert torch.equal(layout.gathered(net), torch.cat([(flat + 1)[:-4], torch.zeros(4)]))


def test_tied_weights_are_counted_once_and_returned_under_every_name() -> None:
    net = Tied()
    layout = Layout.of(net)
    assert layout.D == 4 * 3 + 3 + 3 * 4 + 4
    assert layout.aliases == (("extra.weight", "encoder.weight"),)
    named = layout.unflatten(layout.flatten(net))
    assert named["extra.weight"] is named["encoder.weight"]


def test_frozen_parameters_stay_outside_the_vector() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    layout = Layout.of(net)
    assert [s.name for s in layout.slots] == ["1.weight", "1.bias"]
    assert layout.frozen == ("0.weight", "0.bias")
    assert layout.flatten(net).shape == (6,)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_slots_remember_their_dtype(dtype: torch.dtype) -> None:
    net = nn.Linear(3, 2).to(dtype)
    layout = Layout.of(net)
    theta = layout.flatten(net)
    assert theta.dtype == torch.float32
    named = layout.unflatten(theta)
    assert named["weight"].dtype == dtype
    torch.testing.assert_close(named["weight"], net.weight.float().to(dtype), rtol=0, atol=0)


def test_norm_statistics_and_integer_buffers_are_frozen_without_mention() -> None:
    net = nn.Sequential(nn.BatchNorm1d(3), WithBuffer(torch.arange(4)), nn.Dropout())
    assert Layout.of(net).frozen == ("0.running_mean", "0.running_var", "0.num_batches_tracked", "1.table")


def test_listed_float_buffers_are_frozen() -> None:
    assert Layout.of(WithBuffer(torch.ones(3)), frozen_buffers=("table",)).frozen == ("table",)
    assert Layout.of(WithBuffer(torch.tensor([True])), ()).frozen == ("table",)


def test_an_lstm_has_a_slot_for_each_of_its_weights() -> None:
    net = nn.LSTM(3, 5, num_layers=2)
    assert len(Layout.of(net).slots) == 8
    assert Layout.of(net).D == 4 * 5 * (3 + 5 + 2) + 4 * 5 * (5 + 5 + 2)


def test_unfit_networks_are_refused_by_name() -> None:
    with pytest.raises(SubspaceError, match=r"phase is torch.complex64"):
        Layout.of(Complex())
    with pytest.raises(SubspaceError, match=r"0.weight is lazy and uninitialised. Run one forward pass"):
        Layout.of(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(SubspaceError, match=r"at least one trainable parameter, got ReLU"):
        Layout.of(nn.ReLU())
    with pytest.raises(SubspaceError, match=r"2 frozen tensors and none trainable"):
        Layout.of(nn.Linear(2, 2).requires_grad_(False))


@pytest.mark.parametrize("buffer", [torch.ones(3), torch.ones(3, dtype=torch.complex64), torch.ones(1).half()], ids=str)
def test_unaccounted_buffers_are_refused_by_name(buffer: torch.Tensor) -> None:
    with pytest.raises(SubspaceError, match=r"1.table .* is not.*frozen_buffers=\('1.table',\)"):
        Layout.of(nn.Sequential(nn.Linear(2, 2), WithBuffer(buffer)))


def test_a_listed_buffer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SubspaceError, match=r"no 'tabel'. It has: table"):
        Layout.of(WithBuffer(torch.ones(3)), frozen_buffers=("tabel",))


def test_digest_is_sha256_of_a_canonical_record() -> None:
    net = Tied()
    net.decoder.bias.requires_grad_(False)
    content = {
        "frozen": [["decoder.bias", [4], "torch.float32"]],
        "layout": 1,
        "slots": [
            ["encoder.weight", [3, 4], "torch.float32"],
            ["encoder.bias", [3], "torch.float32"],
            ["decoder.weight", [4, 3], "torch.float32"],
        ],
        "tied": [["extra.weight", "encoder.weight"]],
    }
    text = json.dumps(content, separators=(",", ":"))
    assert Layout.of(net).digest == hashlib.sha256(text.encode()).hexdigest()


def test_digest_sees_names_shapes_dtypes_order_ties_and_frozen_tensors() -> None:
    untied = Tied()
    untied.extra.weight = nn.Parameter(torch.zeros(3, 4))
    partly = Tied()
    partly.decoder.bias.requires_grad_(False)
    nets = [
        Tied(),
        untied,
        partly,
        Tied().double(),
        nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)),
        nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 3)),
        nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Linear(3, 2)}),
        nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2), nn.BatchNorm1d(2, affine=False)),
    ]
    assert len({Layout.of(net).digest for net in nets}) == len(nets)


def test_digest_does_not_see_values() -> None:
    net = nn.Linear(3, 2)
    before = Layout.of(net).digest
    net.weight.data += 1
    assert Layout.of(net).digest == before


def test_frozen_digest_is_sha256_over_headers_and_bytes() -> None:
    net = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)).to(torch.bfloat16)
    net[0].bias.requires_grad_(False)
    net[0].bias.data.fill_(1.0)  # bfloat16 1.0 is the bytes 80 3f
    expected = (
        b'["0.bias", "torch.bfloat16", [1]]\0\x80\x3f'
        b'["1.running_mean", "torch.bfloat16", [1]]\0\0\0'
        b'["1.running_var", "torch.bfloat16", [1]]\0\x80\x3f'
        b'["1.num_batches_tracked", "torch.int64", []]\0' + bytes(8)
    )
    assert frozen_digest(net) == hashlib.sha256(expected).hexdigest()


def test_frozen_digest_sees_statistics_and_frozen_weights_but_not_trained_ones() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2).requires_grad_(False))
    first = frozen_digest(net)
    net[0].weight.data.add_(1)
    assert frozen_digest(net) == first
    net[1].running_mean.add_(1)
    second = frozen_digest(net)
    net[2].weight.data.add_(1)
    assert len({first, second, frozen_digest(net)}) == 3


def test_another_module_or_a_vector_of_another_length_is_refused() -> None:
    layout = Layout.of(nn.Linear(3, 2))
    with pytest.raises(SubspaceError, match=r"weight has shape \(2, 3\).*module has \(2, 4\)"):
        layout.flatten(nn.Linear(4, 2))
    with pytest.raises(SubspaceError, match=r"bias .*module has none"):
        layout.flatten(nn.Linear(3, 2, bias=False))
    with pytest.raises(SubspaceError, match=r"theta has shape \(8,\), got \(9,\)"):
        layout.unflatten(torch.zeros(9))

"""Adapters of low rank by peft: what they compute, what is trained, and that a receiver rebuilds them."""

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.errors import ModelError
from pacbound.models.adapters import lora_network
from pacbound.networks.checkpoints import checkpoint_base, head_of
from pacbound.networks.hypothesis import make_base
from pacbound.networks.trained import train_only
from tests.tiny import CLASSES, clouds, quick

pytestmark = pytest.mark.one_worker

RANK = 2


@pytest.fixture
def net() -> nn.Module:
    pytest.importorskip("peft", reason="the extra peft is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = nn.Sequential(nn.Linear(6, 5), nn.ReLU())
        return nn.Sequential(nn.Linear(clouds(2)[0].shape[1], 6), nn.ReLU(), inner, nn.Linear(5, CLASSES))


def rows() -> Tensor:
    return clouds(9)[0]


def test_at_the_start_the_network_answers_as_before_and_only_adapters_and_head_are_trained(net: nn.Module) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.random.get_rng_state()
    adapted = train_only(net, f"lora:{RANK}")
    assert torch.equal(torch.random.get_rng_state(), random)
    assert torch.equal(adapted(rows()), net(rows()))
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    factors = {f"{layer}.lora_{factor}.default.weight" for layer in ("0", "2.0") for factor in "AB"}
    assert trained == {*factors, "3.weight", "3.bias"}
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_an_adapter_adds_the_product_of_its_factors(net: nn.Module) -> None:
    adapted = lora_network(net, RANK, head_of(net))
    values = dict(adapted.named_parameters())
    factors = {}
    with torch.no_grad():
        for layer in ("0", "2.0"):
            b = values[f"{layer}.lora_B.default.weight"]
            b.copy_(torch.randn(b.shape, generator=torch.Generator().manual_seed(1)))
            factors[layer] = b @ values[f"{layer}.lora_A.default.weight"]
        weights = dict(net.named_parameters())
        hidden = torch.relu(rows() @ (weights["0.weight"] + factors["0"]).T + weights["0.bias"])
        hidden = torch.relu(hidden @ (weights["2.0.weight"] + factors["2.0"]).T + weights["2.0.bias"])
        said = hidden @ weights["3.weight"].T + weights["3.bias"]
        assert torch.allclose(adapted(rows()), said, atol=1e-5)
        assert not torch.allclose(adapted(rows()), net(rows()), atol=1e-2)


def test_adapters_are_drawn_by_our_own_generator(net: nn.Module) -> None:
    torch.manual_seed(1)
    one = lora_network(net, RANK, head_of(net)).state_dict()
    torch.manual_seed(2)
    other = lora_network(net, RANK, head_of(net)).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    wide = lora_network(nn.Sequential(nn.Linear(50, 6), nn.Linear(6, 2)), 40, ("1.weight", "1.bias"))
    assert float(dict(wide.named_parameters())["0.lora_A.default.weight"].detach().std()) == pytest.approx(0.2, rel=0.1)


def test_a_checkpoint_is_the_base_of_the_adapted_network(net: nn.Module, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "net.pt")
    blank = copy.deepcopy(net)
    for parameter in blank.parameters():
        parameter.detach().zero_()
    adapted = train_only(blank, f"lora:{RANK}")
    handed_over = make_base(train_only(net, f"lora:{RANK}"), None)
    base = checkpoint_base(adapted, tmp_path / "net.pt")
    assert base.origin.values == handed_over.origin.sha256
    drawn = checkpoint_base(adapted, tmp_path / "net.pt", new_head_seed=4)
    theirs, ours = dict(base.module.named_parameters()), dict(drawn.module.named_parameters())
    assert {name for name in theirs if not torch.equal(theirs[name], ours[name])} == {"3.weight", "3.bias"}


def test_a_network_drawn_from_a_seed_has_no_adapter_yet(net: nn.Module) -> None:
    base = make_base(train_only(net, f"lora:{RANK}"), 5)
    named = dict(base.module.named_parameters())
    assert all(not bool(value.any()) for name, value in named.items() if ".lora_B." in name)
    assert all(bool(value.any()) for name, value in named.items() if ".lora_A." in name)


def test_adapters_are_certified_and_verified(net: nn.Module, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "net.pt")
    request = quick(train=f"lora:{RANK}", checkpoint=str(tmp_path / "net.pt"), disjoint=True)
    request = request.model_copy(update={"epochs": 16, "batch": 60, "rate": 0.1, "beta": 1.0})
    made = pb.certify(net, clouds(300), request=request, progress=False)
    assert made.hypothesis.train == f"lora:{RANK}"
    assert made.hypothesis.parameters == sum(
        parameter.numel() for name, parameter in train_only(net, f"lora:{RANK}").named_parameters()
        if parameter.requires_grad
    )  # fmt: skip
    assert made.risk.errors < 30  # the checkpoint, never trained, makes 200
    made.save(tmp_path / "c.json")
    given = {"data": clouds(300), "model": net, "checkpoint": tmp_path / "net.pt"}
    assert pb.verify(tmp_path / "c.json", **given).require().level == "risk"


def test_what_cannot_be_adapted_is_refused(net: nn.Module) -> None:
    fused = nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), nn.Linear(4, 2))
    for module in (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)), nn.Linear(4, 2), fused):
        with pytest.raises(ModelError, match="pattern of names"):
            train_only(module, "lora:1")


def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"pip install 'pacbound\[peft\]'"):
        train_only(nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), "lora:1")

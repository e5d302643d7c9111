"""Checkpoints: every common layout is read, nothing in a file is run, and a wrong file says what is wrong."""

import hashlib
import json
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pacbound.errors import ModelError, RequestError
from pacbound.models.reference import initialise
from pacbound.networks.checkpoints import (
    checkpoint_base,
    file_digest,
    head_of,
    load_checkpoint,
    rebuild_base,
)
from pacbound.networks.reading import fitted, read_checkpoint
from pacbound.specs.specs import BaseOrigin
from tests.tiny import network


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "module", "nested", "safetensors"])
def test_every_layout_gives_the_same_weights(tmp_path: Path, wrap: str) -> None:
    saved, own = network(seed=1), network(seed=2)
    state: dict[str, object] = dict(saved.state_dict())
    if wrap == "safetensors":
        path = tmp_path / "a.safetensors"
        save_file(saved.state_dict(), path)
    else:
        path = tmp_path / "a.pt"
        if wrap == "module":
            state = {f"module.{name}": value for name, value in state.items()}
        content = {"state_dict": state, "epoch": 3} if wrap != "plain" else state
        torch.save({"net": content, "best": 0.9} if wrap == "nested" else content, path)
    load_checkpoint(own, path)
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), saved.parameters(), strict=True))


def test_a_prefix_that_only_some_names_share_stays(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pt")
    assert set(fitted(read_checkpoint(tmp_path / "a.pt"), ("a", "b")).entries) == {"module.a", "b"}


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"w": Bomb()}, protocol=2))
    torch.save({"w": Bomb()}, tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ModelError, match=r"would run \S+, and code in a checkpoint is never run"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.pt", None, "found none"),
        ("text.pt", b"hello", "torch file"),
        ("empty.pt", b"", "torch file"),
        ("text.safetensors", b"hello", "no safetensors file"),
        ("folder.pt/none.pt", None, "found none"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=reason):
        read_checkpoint(tmp_path / name)


def test_a_file_of_other_things_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate(({"epoch": 3}, [torch.ones(1)], {})):
        torch.save(content, tmp_path / f"{number}.pt")
        with pytest.raises(ModelError, match="tensors by name"):
            read_checkpoint(tmp_path / f"{number}.pt")


def test_another_network_is_refused_by_name_and_by_shape(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"missing: x\.bias .*, x\.weight .*; unknown: 0\.bias .*, 0\.weight"):
        load_checkpoint(nn.ModuleDict({"x": nn.Linear(6, 8)}), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"0.weight has shape \(8, 5\)"):
        load_checkpoint(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), tmp_path / "a.pt")


def header(shape: list[int], offsets: list[int], claimed: int | None = None) -> bytes:
    """A safetensors file of 12 bytes of numbers under a header of one's own."""
    text = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    return struct.pack("<Q", len(text) if claimed is None else claimed) + text + bytes(12)


def test_the_header_made_here_is_read_where_it_is_true(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(header([3], [0, 12]))
    assert torch.equal(read_checkpoint(tmp_path / "a.safetensors").entries["w"], torch.zeros(3))


@pytest.mark.parametrize(
    "content",
    [
        header([3], [0, 12], claimed=(1 << 64) - 1),
        header([1 << 62, 1 << 62], [0, 12]),
        header([(1 << 62) + 3], [0, 12]),
        header([3], [0, 1 << 64]),
        header([4], [0, 16]),
        header([3], [12, 0]),
    ],
)
def test_a_safetensors_header_that_overflows_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="no safetensors file"):
        read_checkpoint(tmp_path / "a.safetensors")


class Claimed:
    """Pickles as a tensor over 3 numbers with an offset, a size and a stride of its own."""

    def __init__(self, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.claim = (offset, size, stride)

    def __reduce__(self) -> tuple[object, ...]:
        storage = torch.storage.TypedStorage(
            wrap_storage=torch.ones(3).untyped_storage(), dtype=torch.float32, _internal=True
        )
        return torch._utils._rebuild_tensor_v2, (storage, *self.claim, False, OrderedDict())


def test_the_torch_tensor_made_here_is_read_where_it_is_true(tmp_path: Path) -> None:
    torch.save({"w": Claimed(0, (3,), (1,))}, tmp_path / "a.pt")
    assert torch.equal(read_checkpoint(tmp_path / "a.pt").entries["w"], torch.ones(3))


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (1 << 40,), (1,)),
        (0, (1 << 62, 1 << 62), (0, 0)),
        (1 << 62, (3,), (1,)),
        (0, (1 << 70,), (1,)),
        (0, (-3,), (1,)),
    ],
)
def test_a_torch_tensor_that_overflows_is_refused(
    tmp_path: Path, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    torch.save({"w": Claimed(offset, size, stride)}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="torch file of plain tensors"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_a_value_that_is_not_finite_in_float32_is_refused_by_name(tmp_path: Path, value: float) -> None:
    state = {name: tensor.double() for name, tensor in network().state_dict().items()}
    state["2.weight"][1, 1] = value
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"finite in float32, 2\.weight"):
        load_checkpoint(network(), tmp_path / "a.pt")


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool])
def test_numbers_of_another_kind_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save({name: tensor.to(dtype) for name, tensor in network().state_dict().items()}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=f"in the network, got {dtype}"):
        load_checkpoint(network(), tmp_path / "a.pt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_dtypes_are_kept_when_reading_and_cast_once_when_loading(
    tmp_path: Path, dtype: torch.dtype, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    state = {name: tensor.to(dtype) for name, tensor in network(seed=1).state_dict().items()}
    torch.save(state, path) if suffix == ".pt" else save_file(state, path)
    assert {tensor.dtype for tensor in read_checkpoint(path).tensors().values()} == {dtype}
    own = network(seed=2)
    load_checkpoint(own, path)
    assert all(torch.equal(value, state[name].float()) for name, value in own.state_dict().items())


def test_missing_names_are_reported_beside_the_nearest_ones(tmp_path: Path) -> None:
    state = network().state_dict()
    state["2.wieght"] = state.pop("2.weight")
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"missing: 2\.weight \(nearest: 2\.wieght\); unknown: 2\.wieght .*--rename"):
        load_checkpoint(network(), tmp_path / "a.pt")


def test_rules_rename_in_their_order(tmp_path: Path) -> None:
    saved, own = network(seed=1), network(seed=2)
    names = {"0": "model.first", "2": "model.last"}
    state = {f"{names[name[0]]}{name[1:]}": value for name, value in saved.state_dict().items()}
    torch.save(state, tmp_path / "a.pt")
    load_checkpoint(own, tmp_path / "a.pt", (r"^model\.(?=\w)=", r"first\.(\w+)=0.\1", "last=2"))
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), saved.parameters(), strict=True))


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("0.weight", "a rule is REGEX=REPLACEMENT"),
        ("=x", "a rule is REGEX=REPLACEMENT"),
        ("(=x", "is no rule"),
        (r"0=\7", "is no rule"),
        ("zzz=x", "changes no name"),
        (r"^\d=x", "two tensors one name"),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path: Path, rule: str, complaint: str) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    with pytest.raises(RequestError, match=complaint):
        load_checkpoint(network(), tmp_path / "a.pt", (rule,))


def test_a_new_head_is_drawn_from_the_seed_and_the_rest_is_the_files(tmp_path: Path) -> None:
    saved, drawn, own = network(seed=1), network(), network(seed=2)
    saved[2] = nn.Linear(8, 7)
    torch.save(saved.state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"2\.(weight|bias) has shape .* or --new-head"):
        load_checkpoint(own, tmp_path / "a.pt")
    load_checkpoint(own, tmp_path / "a.pt", new_head_seed=5)
    initialise(drawn, 5)
    assert head_of(own) == ("2.weight", "2.bias")
    assert torch.equal(own[0].weight, saved[0].weight)
    assert torch.equal(own[0].bias, saved[0].bias)
    assert torch.equal(own[2].weight, drawn[2].weight)
    assert torch.equal(own[2].bias, torch.zeros(3))


def test_a_new_head_excuses_no_other_layer(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)).state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"0\.weight has shape"):
        load_checkpoint(network(), tmp_path / "a.pt", new_head_seed=0)
    with pytest.raises(ModelError, match="a new head is a layer with weights, PReLU has none"):
        load_checkpoint(nn.PReLU(), tmp_path / "a.pt", new_head_seed=0)


def test_a_tied_weight_is_given_once_and_an_old_file_has_no_counters(tmp_path: Path) -> None:
    def tied() -> nn.Sequential:
        net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
        net[2].weight = net[0].weight
        return net

    saved, own = tied(), tied()
    saved[1].running_mean += 0.5
    state = saved.state_dict()
    del state["2.weight"], state["1.num_batches_tracked"]
    torch.save(state, tmp_path / "a.pt")
    load_checkpoint(own, tmp_path / "a.pt")
    assert torch.equal(own[2].weight, saved[0].weight)
    assert torch.equal(own[1].running_mean, saved[1].running_mean)


def test_the_base_is_the_file_and_names_its_digest(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    other = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    net[1].running_var += 2
    path = tmp_path / "a.pt"
    torch.save(net.state_dict(), path)
    base = checkpoint_base(other, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = BaseOrigin(kind="checkpoint", sha256=digest, disjoint=True, values=base.origin.values)
    assert (base.origin, len(base.origin.values or "")) == (expected, 64)
    assert torch.equal(base.theta0, torch.cat([p.detach().reshape(-1) for p in net.parameters()]))
    assert torch.equal(base.module[1].running_var, net[1].running_var)  # type: ignore[index]
    assert not torch.equal(other[1].running_var, net[1].running_var)  # the caller's module stays
    assert rebuild_base(other, base.origin, path).origin == base.origin


def test_another_file_is_not_the_base_that_is_named(tmp_path: Path) -> None:
    for name, seed in (("a.pt", 0), ("b.pt", 1)):
        torch.save(network(seed).state_dict(), tmp_path / name)
    origin = checkpoint_base(network(), tmp_path / "a.pt", new_head_seed=3).origin
    assert (origin.kind, origin.seed) == ("checkpoint_new_head", 3)
    assert rebuild_base(network(), origin, tmp_path / "a.pt").origin == origin
    with pytest.raises(ModelError, match=file_digest(tmp_path / "b.pt")[:12]):
        rebuild_base(network(), origin, tmp_path / "b.pt")
    with pytest.raises(ModelError, match="Give --checkpoint"):
        rebuild_base(network(), origin, None)
    with pytest.raises(ModelError, match="readable file"):
        rebuild_base(network(), origin, tmp_path / "none.pt")

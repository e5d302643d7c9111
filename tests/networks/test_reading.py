"""Other people's files: the state dict that is meant is found or named, its names fit, and what was read is said."""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pacbound.errors import ModelError, RequestError
from pacbound.networks.checkpoints import checkpoint_base, file_digest, load_checkpoint, rebuild_base
from pacbound.networks.reading import read_checkpoint
from tests.tiny import network

State = dict[str, Tensor]


def state(seed: int = 1) -> State:
    return dict(network(seed).state_dict())


def prefixed(prefix: str, seed: int = 1) -> State:
    return {f"{prefix}{name}": value for name, value in state(seed).items()}


def loaded(folder: Path, content: object, **options: object) -> tuple[nn.Module, tuple[str, ...]]:
    torch.save(content, folder / "a.pt")
    own = network(seed=9)
    notes = load_checkpoint(own, folder / "a.pt", **options)  # type: ignore[arg-type]
    return own, notes


def is_from(own: nn.Module, seed: int) -> bool:
    return all(torch.equal(a, b) for a, b in zip(own.state_dict().values(), state(seed).values(), strict=True))


def trained() -> dict[str, object]:
    net = network()
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 6)).sum().backward()
    adam.step()
    return adam.state_dict()


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict_ema": state(), "epoch": 3},
        {"module": state(), "global_steps": 7, "dp_world_size": 1},
        {"state_dict": {}, "model": state()},
        {"acc": torch.tensor(0.9), "state_dict": [state()]},
        {"ema": {"module": state(), "decay": 0.99, "updates": 3}},
        {"teacher": {"backbone": prefixed("module.")}, "step": torch.tensor(3)},
        {"model": state(), "optimizer": trained(), "rng": torch.get_rng_state(), "ema": state(2)},
        {"params": state(), "params_ema": state(2)},
        {"state_dict": prefixed("model._orig_mod.module."), "hyper_parameters": {"weight": torch.ones(3)}},
        {**prefixed("module."), "n_averaged": torch.tensor(5)},
        {**prefixed("module.model."), "module.global_step": torch.tensor(5), "epoch": 3},
        [state()],
    ],
)
def test_the_state_dict_that_is_meant_is_found_and_its_wrappers_taken_off(tmp_path: Path, content: object) -> None:
    own, notes = loaded(tmp_path, content)
    assert is_from(own, 1)
    assert notes


def test_a_plain_file_needs_no_word(tmp_path: Path) -> None:
    own, notes = loaded(tmp_path, state())
    assert (is_from(own, 1), notes) == (True, ())


def test_what_was_read_of_several_is_said_and_a_key_names_another(tmp_path: Path) -> None:
    content = {"model": state(1), "model_ema": state(2), "old": [state(3), state(4)], "a.b": {"c": state(5)}}
    own, notes = loaded(tmp_path, content)
    assert is_from(own, 1)
    assert "read what lies under model, not model_ema, old.0, old.1, a.b.c; --key names another" in notes
    for key, seed in {"model_ema": 2, "old.1": 4, "a.b.c": 5, "a.b": 5}.items():
        own, notes = loaded(tmp_path, content, key=key)
        assert (is_from(own, seed), notes[0]) == (True, f"read under the key {key}")


def test_a_key_may_be_what_stands_before_a_dot_in_the_names(tmp_path: Path) -> None:
    own, _ = loaded(tmp_path, {**prefixed("generator.", 1), **prefixed("judge.", 2)}, key="judge")
    assert is_from(own, 2)


def test_several_of_which_none_is_usual_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"several state dicts: student, teacher\. Name one with --key"):
        loaded(tmp_path, {"student": state(), "teacher": state(2)})
    with pytest.raises(ModelError, match=r"several state dicts: model\.body, model\.head"):
        loaded(tmp_path, {"model": {"body": state(), "head": state(2)}})
    with pytest.raises(RequestError, match=r"nothing under 'best'. Its keys are student, teacher\."):
        loaded(tmp_path, {"student": state(), "teacher": state(2)}, key="best")


def test_names_of_a_file_do_not_reach_a_terminal_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\\nb, \\x1b\[31m"):
        loaded(tmp_path, {"a\nb": state(), "\x1b[31m": state(2)})


def test_a_network_whose_own_names_begin_like_a_wrapper_keeps_them(tmp_path: Path) -> None:
    class Held(nn.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.model = network(seed)

    for content in (Held(1).state_dict(), {f"module.{name}": value for name, value in Held(1).state_dict().items()}):
        torch.save(content, tmp_path / "a.pt")
        own = Held(9)
        load_checkpoint(own, tmp_path / "a.pt")
        assert is_from(own.model, 1)


def test_a_rule_of_which_nothing_is_left_drops_the_name(tmp_path: Path) -> None:
    content = {**state(), "_extra_state": None, "aux.head.weight": torch.ones(3)}
    own, _ = loaded(tmp_path, content, rename=("_extra_state=", r"aux\..*="))
    assert is_from(own, 1)
    with pytest.raises(ModelError, match=r"missing: 0\.bias"):
        loaded(tmp_path, state(), rename=("0.bias=",))


def quantized() -> Tensor:
    return torch.quantize_per_tensor(torch.ones(8), 0.1, 0, torch.qint8)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("_extra_state", None, "_extra_state is a NoneType. Drop it with --rename '_extra_state='"),
        ("_extra_state", {"amax": torch.ones(2)}, "_extra_state is a dict"),
        ("0.bias", torch.ones(8).to_sparse(), "0.bias is sparse; save it with tensor.to_dense"),
        ("0.weight", torch.ones(8, 6).to_sparse(), "0.weight is sparse"),
        ("0.bias", torch.ones(8, device="meta"), "0.bias is on the device meta"),
        ("0.bias", quantized, "0.bias is quantized"),
        ("0.bias", torch.ones(8, dtype=torch.complex64), "0.bias is torch.float32 in the network, got torch.complex64"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # torch's, about kinds of tensors that come or go
def test_an_entry_that_holds_no_plain_numbers_is_named(tmp_path: Path, name: str, value: object, says: str) -> None:
    with pytest.raises(ModelError) as refusal:
        loaded(tmp_path, {**state(), name: value() if callable(value) else value})
    assert says in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (trained(), "the state of an optimizer"),
        ({"optimizer": trained()}, "keys optimizer"),
        ({"shadow_params": list(state().values()), "decay": 0.9}, "keys shadow_params, decay"),
        (list(state().values()), "got list"),
        (torch.ones(3), "got Tensor"),
        (None, "got NoneType"),
    ],
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        loaded(tmp_path, content)


def test_archives_of_code_and_pointers_are_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n")
    with pytest.raises(ModelError, match="git lfs pull"):
        read_checkpoint(tmp_path / "a.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network()).save(tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"a program of torch\.jit, which is never run\. Save model\.state_dict"):
        read_checkpoint(tmp_path / "a.pt")


def tied(seed: int) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 4, bias=False))
    torch.nn.init.normal_(net[0].weight, generator=torch.Generator().manual_seed(seed))
    net[2].weight = net[0].weight
    return net


def transposed(seed: int) -> nn.Sequential:
    """Two parameters over one storage."""
    net = tied(seed)
    net[2].weight = nn.Parameter(net[0].weight.detach().t())
    return net


@pytest.mark.parametrize("build", [tied, transposed])
def test_two_values_for_what_is_one_in_the_network_are_refused(
    tmp_path: Path, build: Callable[[int], nn.Sequential]
) -> None:
    content = {name: value.clone() for name, value in build(1).state_dict().items()}
    torch.save(content, tmp_path / "a.pt")
    own = build(2)
    load_checkpoint(own, tmp_path / "a.pt")
    assert torch.equal(own[2].weight, content["2.weight"])
    content["2.weight"][0, 1] += 1
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"0\.weight, 2\.weight are tied in the network and have different values"):
        load_checkpoint(build(2), tmp_path / "a.pt")
    if build is tied:  # one end is enough
        load_checkpoint(own, tmp_path / "a.pt", ("2.weight=",))
        assert torch.equal(own[2].weight, content["0.weight"])


def test_a_head_that_is_tied_to_what_the_file_holds_is_not_drawn_anew(tmp_path: Path) -> None:
    net = tied(1)
    net[0] = nn.Sequential(net[0])
    torch.save(net.state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match="are tied in the network"):
        load_checkpoint(net, tmp_path / "a.pt", new_head_seed=3)


def test_code_of_a_module_that_would_run_on_loading_is_not_run(tmp_path: Path) -> None:
    own = network(9)
    own.register_load_state_dict_pre_hook(lambda *_: 1 / 0)
    torch.save(state(), tmp_path / "a.pt")
    load_checkpoint(own, tmp_path / "a.pt")
    assert is_from(own, 1)


def shards(folder: Path, suffix: str = "safetensors", index: bool = True) -> Path:
    """Two shards and their index, without config.json."""
    folder.mkdir(exist_ok=True)
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    places = {}
    for k, layer in enumerate(("0", "2")):
        part = {name: value for name, value in state().items() if name[0] == layer}
        file = f"{stem}-0000{k + 1}-of-00002.{suffix}"
        save_file(part, folder / file) if suffix == "safetensors" else torch.save(part, folder / file)
        places |= dict.fromkeys(part, file)
    if index:
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": places})
        (folder / f"{stem}.{suffix}.index.json").write_text(text)
    return folder


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("index", [True, False])
def test_shards_are_joined_and_their_digest_covers_the_index_and_all_of_them(
    tmp_path: Path, suffix: str, index: bool
) -> None:
    folder = shards(tmp_path / "net", suffix, index)
    for source in [folder, *folder.glob("*.index.json")]:
        own = network(9)
        load_checkpoint(own, source)
        assert is_from(own, 1)
        names = sorted(path.name for path in folder.iterdir())
        lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
        assert file_digest(source) == hashlib.sha256("".join(lines).encode()).hexdigest()
    before = file_digest(folder)
    (folder / "README.md").write_text("about")
    assert file_digest(folder) == before
    base = checkpoint_base(network(), folder)
    assert rebuild_base(network(), base.origin, folder).origin == base.origin
    last = max(folder.glob(f"*-of-00002.{suffix}"))
    changed = {name: value + 1 for name, value in state().items() if name[0] == "2"}
    save_file(changed, last) if suffix == "safetensors" else torch.save(changed, last)
    with pytest.raises(ModelError, match="Give the file that was certified"):
        rebuild_base(network(), base.origin, folder)


def elsewhere(folder: Path) -> None:
    rewrite(folder, lambda places: {**places, "0.bias": "../model-00001-of-00002.safetensors"})


def in_another_shard(folder: Path) -> None:
    rewrite(folder, lambda places: {**places, "0.bias": "model-00002-of-00002.safetensors"})


def unnamed(folder: Path) -> None:
    rewrite(folder, lambda places: {name: place for name, place in places.items() if name != "0.bias"})


def nowhere(folder: Path) -> None:
    rewrite(folder, lambda places: {**places, "3.bias": "model-00002-of-00002.safetensors"})


def without_a_shard(folder: Path) -> None:
    (folder / "model-00002-of-00002.safetensors").unlink()


def without_an_index_and_a_shard(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    without_a_shard(folder)


def with_another_file(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    save_file(state(2), folder / "ema.safetensors")


def torn(folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text("{")


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def rewrite(folder: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": change(json.loads(index.read_text())["weight_map"])}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (elsewhere, "files in the folder itself"),
        (in_another_shard, r"0\.bias of model-00001-of-00002\.safetensors does not"),
        (unnamed, r"0\.bias of model-00001-of-00002\.safetensors does not"),
        (nowhere, r"names 3\.bias, found none"),
        (without_a_shard, "readable file"),
        (without_an_index_and_a_shard, "all shards of one"),
        (with_another_file, "Name the file"),
        (torn, "lists its shards"),
        (empty, "found none"),
    ],
)
def test_damaged_shards_are_refused(tmp_path: Path, damage: Callable[[Path], None], says: str) -> None:
    folder = shards(tmp_path / "net")
    damage(folder)
    with pytest.raises(ModelError, match=says):
        load_checkpoint(network(), folder)


def test_a_folder_with_one_file_is_that_file(tmp_path: Path) -> None:
    torch.save({"state_dict": state()}, tmp_path / "weights.pth")
    own = network(9)
    load_checkpoint(own, tmp_path)
    assert is_from(own, 1)

"""Networks of transformers in a local folder, made here from a tiny random configuration; timm is a stand-in."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from torch import nn
from typer.testing import CliRunner

from pacbound.certificate import Certificate
from pacbound.data.registry import load
from pacbound.errors import ModelError
from pacbound.models.foreign import folder_digest, optional
from pacbound.models.loading import load_model
from pacbound.networks.checkpoints import file_digest, load_checkpoint
from pacbound.networks.reading import read_checkpoint
from pacbound.verification.verification import verify

pytestmark = pytest.mark.one_worker

TINY = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 8,
    "patch_size": 4, "num_channels": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A vision transformer for images of the size of digits, at random."""
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.ViTForImageClassification(transformers.ViTConfig(**TINY, num_labels=10)).eval()


@pytest.fixture(params=["1GB", "5KB"], ids=["one file", "shards"])
def folder(network: nn.Module, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    network.save_pretrained(tmp_path / "vit", max_shard_size=request.param)  # type: ignore[operator]
    assert (tmp_path / "vit" / "model.safetensors.index.json").exists() == (request.param == "5KB")
    return tmp_path / "vit"


@pytest.fixture
def whole(network: nn.Module, tmp_path: Path) -> Path:
    network.save_pretrained(tmp_path / "vit")  # type: ignore[operator]
    return tmp_path / "vit"


def test_a_folder_gives_the_network_that_was_saved(network: nn.Module, folder: Path) -> None:
    module, name = load_model(f"hf:{folder}", (1, 8, 8), 10)
    load_checkpoint(module, folder)
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(module(x), network(pixel_values=x).logits, atol=1e-6)
        assert torch.equal(module(x[:, 0]), module(x))
    assert name == "user"


def test_building_and_reading_leave_the_random_numbers_alone(whole: Path) -> None:
    before = torch.random.get_rng_state()
    load_model(f"hf:{whole}", (1, 8, 8), 3)
    read_checkpoint(whole)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_names_and_dtypes_are_those_of_the_folder(whole: Path) -> None:
    tensors = read_checkpoint(whole).tensors()
    assert tensors["network.classifier.weight"].shape == (10, 16)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}


def test_other_classes_want_a_new_head(whole: Path) -> None:
    module, _ = load_model(f"hf:{whole}", (1, 8, 8), 4)
    with pytest.raises(ModelError, match="--new-head"):
        load_checkpoint(module, whole)
    load_checkpoint(module, whole, new_head_seed=1)
    assert module(torch.zeros(1, 1, 8, 8)).shape == (1, 4)


def test_a_digest_covers_what_is_read_and_nothing_else(folder: Path) -> None:
    before = folder_digest(folder)
    assert file_digest(folder) == before
    names = sorted(path.name for path in folder.iterdir())
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    assert before == hashlib.sha256("".join(lines).encode()).hexdigest()
    (folder / "README.md").write_text("a model card")
    assert folder_digest(folder) == before
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 0.1}))
    assert folder_digest(folder) != before


def test_a_folder_is_certified_and_verified_on_the_command_line(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = load("digits").subset(range(40))
    np.savez("few.npz", x=few.x.numpy(), y=few.y.numpy())
    given = ["--data", "few.npz", "--checkpoint", "vit"]
    options = ["--disjoint", "--encoder", "plain", "--d", "4", "--epochs", "1", "--batch", "20", "-o", "c.json"]
    done = CliRunner().invoke(app, ["certify", *given, *options])
    assert done.exit_code == 0, done.output
    assert Certificate.load("c.json").hypothesis.base.sha256 == folder_digest(whole)
    done = CliRunner().invoke(app, ["verify", "c.json", *given])
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True)
    (whole / "config.json").write_text((whole / "config.json").read_text() + " ")
    assert verify("c.json", data="few.npz", checkpoint="vit").failed == "checkpoint"


def built_and_filled(folder: Path) -> None:
    load_checkpoint(load_model(f"hf:{folder}", (1, 8, 8), 10)[0], folder)


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def with_shards_elsewhere(folder: Path) -> None:
    from safetensors.torch import load_file

    names = list(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").rename(folder.parent / "out.safetensors")  # where no digest covers it
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "../out.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def described(**changed: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changed}))

    return edit


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without_config, "is a folder with config.json and safetensors"),
        (without_weights, "no file named model.safetensors"),
        (as_pickle, "no file named model.safetensors"),
        (with_adapter, "an adapter"),
        (with_shards_elsewhere, "in the folder itself"),
        (described(quantization_config={"load_in_8bit": True}), "quantized weights"),
        (described(model_type="gpt2"), "image classifier"),
        (described(model_type="mine", auto_map={"AutoConfig": "code.Mine"}), "image classifier"),
        (described(model_type="nobodys"), "image classifier"),
    ],
)
def test_other_folders_are_refused(whole: Path, damage: Callable[[Path], None], says: str) -> None:
    (whole / "code.py").write_text("raise SystemExit('this must never run')")
    damage(whole)
    with pytest.raises(ModelError, match=says):
        built_and_filled(whole)


def test_a_folder_cannot_ask_for_kernels_to_be_fetched_and_run(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    asked: list[object] = []
    adjust = transformers.PreTrainedModel._check_and_adjust_attn_implementation

    def noted(self: object, attn_implementation: object, *args: object, **options: object) -> object:
        asked.append(attn_implementation)
        return adjust(self, attn_implementation, *args, **options)

    monkeypatch.setattr(transformers.PreTrainedModel, "_check_and_adjust_attn_implementation", noted)
    described(attn_implementation="kernels-community/flash-attn2")(whole)
    built_and_filled(whole)
    assert set(asked) == {"eager"}


def test_missing_weights_are_reported_by_name(whole: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(whole / "model.safetensors")
    del tensors["vit.layernorm.bias"]
    save_file(tensors, whole / "model.safetensors", metadata={"format": "pt"})
    module, _ = load_model(f"hf:{whole}", (1, 8, 8), 10)
    with pytest.raises(ModelError, match=r"missing: network\.vit\.layernorm\.bias"):
        load_checkpoint(module, whole)


@pytest.mark.parametrize(
    ("source", "extra"), [("timm:resnet18", r"pacbound\[timm\]"), ("hf:somewhere", r"pacbound\[transformers\]")]
)
def test_an_absent_package_is_named_with_its_extra(source: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=f"pip install '{extra}'"):
        load_model(source, (3, 32, 32), 10)


def test_a_package_that_breaks_while_it_is_imported_is_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torn.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"nms does not exist.*pacbound\[torn\]"):
        optional("torn", "the network")


def test_timm_is_asked_for_a_network_without_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def create_model(name: str, **options: object) -> object:
        if name == "nothing":
            raise RuntimeError("Unknown model (nothing)")
        asked.update(options, name=name)
        return nn.Linear(2, 2) if name == "net" else SimpleNamespace()

    stand_in = ModuleType("timm")
    stand_in.create_model = create_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    module, name = load_model("timm:net", (3, 32, 32), 10)
    assert isinstance(module, nn.Linear)
    assert asked == {"name": "net", "pretrained": False, "num_classes": 10, "in_chans": 3}
    assert name == "user"
    with pytest.raises(ModelError, match="Unknown model"):
        load_model("timm:nothing", (3, 32, 32), 10)
    with pytest.raises(ModelError, match="SimpleNamespace"):
        load_model("timm:record", (28, 28), 10)

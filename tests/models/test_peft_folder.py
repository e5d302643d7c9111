"""Folders of peft, made here over tiny random networks: merged as peft merges, digested with what they go with."""

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import pacbound as pb
from pacbound.errors import ModelError
from pacbound.models.foreign import folder_digest, folder_tensors
from pacbound.models.loading import load_model
from pacbound.networks.checkpoints import load_checkpoint
from tests.tiny import quick

pytestmark = pytest.mark.one_worker

# peft asks transformers for what that is about to rename
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
CLASSES = 3


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of adapter/, that may be changed."""
    shutil.copytree(made, tmp_path / "made")
    described(tmp_path / "made" / "adapter", base_model_name_or_path="../network")
    return tmp_path / "made" / "adapter"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """adapter/: LoRA and a head for three classes, over the vision transformer in network/, which has ten."""
    root = tmp_path_factory.mktemp("peft")
    transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")
    peft = pytest.importorskip("peft", reason="the extra peft is not installed")
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        config = transformers.ViTConfig(**TINY, image_size=4, patch_size=4, num_channels=1, num_labels=10)
        transformers.ViTForImageClassification(config).save_pretrained(root / "network")
        network = transformers.AutoModelForImageClassification.from_pretrained(
            root / "network", num_labels=CLASSES, ignore_mismatched_sizes=True
        )
        lora = peft.LoraConfig(r=2, lora_alpha=8, target_modules=["fc1", "fc2"], modules_to_save=["classifier"])
        model = peft.get_peft_model(network, lora)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                nn.init.normal_(parameter, std=0.3)
            assert parameter.requires_grad == ("lora_" in name or "modules_to_save" in name)
        model.save_pretrained(root / "adapter")
        merged = model.merge_and_unload().eval()
        torch.save({name: value.clone() for name, value in merged.state_dict().items()}, root / "merged.pt")
    return root


def test_an_adapter_is_merged_as_peft_merges_it_and_certified_with_its_folder(folder: Path) -> None:
    expected = torch.load(folder.parent / "merged.pt", weights_only=True)
    found = folder_tensors(folder)
    assert {f"network.{name}" for name in expected} == found.keys()
    assert all(torch.allclose(found[f"network.{name}"], value, atol=1e-6) for name, value in expected.items())
    module, _ = load_model(f"hf:{folder}", (1, 4, 4), CLASSES)
    load_checkpoint(module, folder)
    x = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    again, _ = load_model(f"hf:{folder}", (1, 4, 4), CLASSES)
    again.load_state_dict({f"network.{name}": value for name, value in expected.items()})
    assert torch.allclose(module(x), again(x), atol=1e-5)
    sample = (torch.rand(60, 1, 4, 4, generator=torch.Generator().manual_seed(1)), torch.arange(60) % CLASSES)
    asked = quick(checkpoint=str(folder), disjoint=True, train="head", d=2, epochs=1)
    made = pb.certify("auto", sample, request=asked, progress=False)
    assert made.hypothesis.base.sha256 == folder_digest(folder)
    assert pb.verify(made, data=sample, checkpoint=folder).require().level == "risk"


def test_the_sum_of_an_adapter_is_rounded_once(folder: Path) -> None:
    saved = load_file(folder / "adapter_model.safetensors")
    base = folder_tensors(folder.parent / "network")
    down, up = (next(saved[key].double() for key in saved if f"fc1.{part}" in key) for part in ("lora_A", "lora_B"))
    weight = next(value for key, value in base.items() if key.endswith("fc1.weight"))
    exact = (weight.double() + 4.0 * up @ down).float()  # alpha / r
    found = next(value for key, value in folder_tensors(folder).items() if key.endswith("fc1.weight"))
    assert torch.equal(found, exact)


def test_the_digest_covers_the_adapter_and_what_it_goes_with(folder: Path) -> None:
    before = folder_digest(folder)
    shutil.copytree(folder.parent / "network", folder / "base")
    assert folder_digest(folder) == before
    (folder / "README.md").write_text("a model card")
    assert folder_digest(folder) == before
    for file in (folder / "adapter_config.json", folder / "base" / "config.json"):
        text = file.read_text()
        file.write_text(text + " ")
        assert folder_digest(folder) != before
        file.write_text(text)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert folder_digest(folder) != before


def described(folder: Path, **changed: object) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **changed}))


def test_a_network_that_lies_nowhere_is_asked_for(folder: Path) -> None:
    described(folder, base_model_name_or_path="org/network")
    with pytest.raises(ModelError, match=r"goes with the network 'org/network'.* into adapter/base"):
        folder_digest(folder)
    (folder / "base").symlink_to(folder.parent / "network")
    assert folder_tensors(folder)


@pytest.mark.parametrize(
    ("changed", "says"),
    [({"peft_type": "IA3"}, "no adapter of kind LORA"), ({"use_dora": True}, "got"), ({"r": 3}, "got")],
)
def test_what_is_no_plain_adapter_is_refused(folder: Path, changed: dict[str, object], says: str) -> None:
    described(folder, **changed)
    with pytest.raises(ModelError, match=f"an adapter of low rank beside linear layers.*{says}"):
        folder_tensors(folder)


@pytest.mark.filterwarnings("ignore:Found missing adapter keys")
def test_an_adapter_that_fits_in_part_is_refused(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    name = next(key for key in weights if "lora_A" in key)
    save_file({key.replace("layer", "block") if key == name else key: value for key, value in weights.items()}, file)
    with pytest.raises(ModelError, match="other parameters than those of this network"):
        folder_tensors(folder)

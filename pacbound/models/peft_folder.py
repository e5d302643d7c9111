"""A folder of peft: an adapter of low rank, as save_pretrained writes it, over the network of another folder.

The other folder is `base` within it, or a link there, or the one that the adapter was saved with where that still lies
in its place; nothing is fetched. What is read is the network with the adapter merged into it, as merge_and_unload of
peft does, but that products are added up in float64 in one order and rounded once: all machines get the same numbers.
"""

import json
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import ModelError, first_line

ADAPTER, ADAPTER_WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base"
NETWORK = "config.json"
TEXTS_TASK = "SEQ_CLS"
PREFIX = "base_model.model."  # before the names of the network in the adapter's file
LORA = ".lora_"


def is_adapter_folder(path: Path) -> bool:
    """Whether a folder holds an adapter alone."""
    return (path / ADAPTER).is_file() and not (path / NETWORK).is_file()


def base_folder(path: Path) -> Path:
    """Return the folder of the network itself: that of an adapter, or the folder as it is.

    Raises: ModelError where the adapter's lies nowhere on this computer.
    """
    if not is_adapter_folder(path):
        return path
    named = str(_described(path).get("base_model_name_or_path") or "")
    for place in (path / BASE, path / named, Path(named)):
        if named and (place / NETWORK).is_file():
            return place
    raise ModelError(
        f"load_model: the adapter {path.name} goes with the network {named[:80]!r}, found no such folder. Put that, or "
        f"a link to it, into {path.name}/{BASE}."
    )


def saved_with(path: Path) -> dict[str, Tensor]:
    """Return what the adapter's file holds whole, a head above all, by the names of the network."""
    weights = _weights(path)
    return {name.removeprefix(PREFIX): value for name, value in weights.items() if LORA not in name}


def for_texts(path: Path) -> bool:
    """Whether the adapter is of a classifier of texts."""
    return is_adapter_folder(path) and _described(path).get("task_type") == TEXTS_TASK


@torch.no_grad()
def merged(peft: ModuleType, network: nn.Module, path: Path) -> nn.Module:
    """Return the network with the adapter of a folder merged into it. Changes the network.

    Raises: ModelError for other adapters than LoRA beside linear layers, and where names or shapes do not fit.
    """
    weights = _weights(path)
    try:
        model = peft.PeftModel.from_pretrained(network, str(path), torch_device="cpu")
        own = peft.get_peft_model_state_dict(model, save_embedding_layers=False)  # else it may ask a server
    except Exception as why:  # whatever peft says of a folder of somebody's
        raise _refusal(path, first_line(why)) from None
    if own.keys() != weights.keys() or any(not torch.equal(own[name], value) for name, value in weights.items()):
        strange = sorted(own.keys() ^ weights.keys())[:3]
        raise _refusal(path, f"other parameters than those of this network: {', '.join(strange)}")
    for name, layer in model.named_modules():
        if isinstance(layer, peft.tuners.tuners_utils.BaseTunerLayer):
            _merge(peft, layer, name, path)
    whole: nn.Module = model.merge_and_unload()
    return whole


def _merge(peft: ModuleType, layer: nn.Module, name: str, path: Path) -> None:
    """Add B A, scaled, to the weight of a layer; nothing is left for peft to add."""
    plain = type(layer) is peft.tuners.lora.Linear and not layer.lora_variant and not layer.merged
    if not plain or type(layer.get_base_layer()) is not nn.Linear:  # type: ignore[operator]
        raise _refusal(path, f"a {type(layer).__name__} at {name}")
    weight = layer.get_base_layer().weight  # type: ignore[operator]
    total = weight.to(torch.float64)
    for adapter, scale in layer.scaling.items():  # type: ignore[operator, union-attr]
        down = layer.lora_A[adapter].weight.to(torch.float64)  # type: ignore[index, union-attr]
        up = layer.lora_B[adapter].weight  # type: ignore[index, union-attr]
        for rank in range(len(down)):
            total = total + scale * up[:, rank, None].to(torch.float64) * down[rank]
        up.zero_()
    weight.copy_(total)


def _described(path: Path) -> dict[str, object]:
    try:
        found = json.loads((path / ADAPTER).read_text("utf-8"))
        if not isinstance(found, dict) or found.get("peft_type") != "LORA":
            raise ValueError(f"no adapter of kind LORA: {str(found)[:60]}")
    except (OSError, ValueError) as why:
        raise _refusal(path, first_line(why)) from None
    return found


def _weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path / ADAPTER_WEIGHTS)
    except Exception as why:  # SafetensorError, or no such file
        raise _refusal(path, f"{ADAPTER_WEIGHTS}: {first_line(why)}") from None


def _refusal(path: Path, why: str) -> ModelError:
    return ModelError(
        f"load_model: {path.name} holds an adapter of low rank beside linear layers, in {ADAPTER_WEIGHTS}, got {why}. "
        "Merge it into its network with merge_and_unload() of peft, and save that with save_pretrained(FOLDER)."
    )

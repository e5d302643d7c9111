"""Language models by name: a description that starts with E, a checkpoint of llama2.c, or a folder of transformers.

All map ids (batch, T), int64, to logits (batch, T, vocabulary), float32: at position t those of the next symbol.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..specs.grammar import OWN_NETWORK, canonical_name
from .foreign import CONFIG, FOLDER, folder_config, optional, pretrained
from .llama import read_llama2c
from .sequences import sequence_network

CAUSAL = "AutoModelForCausalLM"
LLAMA2C = ".bin"


class CausalNetwork(nn.Module):
    """A language model of transformers as a map from token ids to logits."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network that takes `input_ids` and returns a record with `logits`.

        Its `vocabulary` is the number of logits; `context` the number of positions it knows, None where it says none.
        """
        super().__init__()
        self.network = network
        self.vocabulary: int = network.get_output_embeddings().weight.shape[0]  # type: ignore[operator]
        self.context: int | None = getattr(network.config, "max_position_embeddings", None)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.network(input_ids=ids, use_cache=False).logits
        return logits


def is_whole(checkpoint: str) -> bool:
    """Return whether a checkpoint says what network it is: a file of llama2.c, or a folder of transformers."""
    place = Path(checkpoint.removeprefix(FOLDER))
    return place.suffix == LLAMA2C or place.is_dir() or checkpoint.startswith(FOLDER)


def load_language_model(source: str | Path, vocabulary: int) -> tuple[nn.Module, str]:
    """Build the network that `source` names; the parameters of a described one are torch's until `initialise`.

    Args: source: a description (specs/grammar.py), FILE.bin of llama2.c, or a folder of transformers, which hf: may
        stand before. vocabulary: number of symbols. A checkpoint may have more, as its `vocabulary` says.
    Returns: the module in eval mode, and its name in a certificate: "user" for all but described networks.
    Raises: ModelError.
    """
    place = Path(str(source).removeprefix(FOLDER))
    if place.suffix == LLAMA2C:
        network: nn.Module = read_llama2c(place)
    elif str(source).startswith(FOLDER) or (place / CONFIG).exists():
        network = read_causal(place)
    else:
        return sequence_network(str(source), vocabulary).eval(), canonical_name(str(source))
    if network.vocabulary < vocabulary:  # type: ignore[operator]
        raise ModelError(
            f"load_model: {place.name} knows {network.vocabulary} symbols and the alphabet has {vocabulary}. Give the "
            "tokenizer that it was trained with."
        )
    return network, OWN_NETWORK


def read_causal(folder: str | Path) -> CausalNetwork:
    """Read a causal language model of transformers from a folder, in eval mode and float32; no code of it is run.

    Raises: ModelError where the folder holds no such network or not all of it, or the extra is not installed.
    """
    path = Path(folder)
    transformers = optional("transformers", f"the network of {path.name}")
    folder_config(transformers, path)
    network, absent = pretrained(transformers, CAUSAL, path, {"attn_implementation": "eager"})
    if absent:
        raise ModelError(
            f"load_model: {path.name} holds every weight of its language model, {sorted(absent)[0]} is missing. "
            f"Save it with save_pretrained(FOLDER) of {CAUSAL}."
        )
    with torch.no_grad():
        return CausalNetwork(network.float()).eval()

"""A reference and a version of it, as a certificate of what the version loses names them."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..certificate.parts import OriginalNetwork
from ..data.texts import Text
from ..errors import ModelError
from ..models.language import load_language_model
from ..specs.grammar import OWN_NETWORK
from ..specs.language import PredictionSpec
from ..subspace.layout import tensors_digest
from .causality import check_causal
from .checkpoints import file_digest
from .frozen import named_tensors


def values_of(network: nn.Module) -> str:
    """SHA-256 of the parameters and buffers of a network."""
    return tensors_digest(named_tensors(network).items())


def read_language_file(file: str | Path, text: Text) -> tuple[nn.Module, OriginalNetwork]:
    """Read the language model of a file or folder, whose alphabet is the text's, and say which it is.

    Raises: ModelError where there is none, or where it knows another number of symbols.
    """
    if not Path(file).exists():
        raise ModelError(
            f"load_model: a language model is FILE.bin of llama2.c or a folder of transformers, and there is no "
            f"{str(file)!r}. Give its path."
        )
    network, name = load_language_model(file, text.alphabet.predicted)
    if name != OWN_NETWORK:
        raise ModelError(f"load_model: a language model is FILE.bin of llama2.c or a folder, got {str(file)!r}.")
    if text.alphabet.kind != "tokenizer" and network.vocabulary != text.alphabet.predicted:
        raise ModelError(
            f"load_model: {Path(file).name} knows {network.vocabulary} symbols and the alphabet has "
            f"{text.alphabet.predicted}. Give the tokenizer that it was trained with."
        )
    return network, OriginalNetwork(sha256=file_digest(file), values=values_of(network), model=OWN_NETWORK)


def check_language(networks: Sequence[nn.Module], text: Text, prediction: PredictionSpec) -> None:
    """Ask each network about texts as long as a window, whose future is changed. Raises: ModelError."""
    for network in networks:
        check_causal(network, text.alphabet.predicted, prediction.window)

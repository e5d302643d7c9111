"""A network by name: a reference one, one that another package builds, or the user's own as `module:callable`."""

import difflib
from collections.abc import Sequence

from torch import nn

from ..data.callables import call_named
from ..errors import ModelError
from ..specs.specs import MODEL_CHOICES, RAW_PIXEL_MODELS, REFERENCE_MODELS, PreprocessName
from .foreign import FOLDER, TIMM, build_from_folder, build_from_timm
from .reference import build

USER = MODEL_CHOICES[0]  # the name of every network that is not a reference one


def load_model(source: str, input_shape: Sequence[int], classes: int) -> tuple[nn.Module, str]:
    """Build the network that `source` names.

    Args: source: one of `specs.REFERENCE_MODELS`, or module:callable, which is imported, called without arguments and
        returns the network; hf:FOLDER or timm:NAME for one that transformers or timm builds. input_shape, classes: what
        it is built for, unless it is a callable's.
    Returns: the module and its name in `specs.MODEL_CHOICES` ("user" for all but the reference networks).
    Raises: ModelError.
    """
    if not isinstance(source, str):
        raise ModelError(
            f"load_model: a network is a torch.nn.Module or a name, got {type(source).__name__}. "
            "Give the module itself: an instance, not its class."
        )
    if source in REFERENCE_MODELS:
        return build(source, input_shape, classes), source
    if source.startswith(FOLDER):
        return build_from_folder(source.removeprefix(FOLDER), classes), USER
    if source.startswith(TIMM):
        return build_from_timm(source.removeprefix(TIMM), input_shape, classes), USER
    if ":" not in source:
        near = difflib.get_close_matches(source, REFERENCE_MODELS, n=1)
        raise ModelError(
            f"load_model: a network is one of {', '.join(REFERENCE_MODELS)}, {FOLDER}FOLDER, {TIMM}NAME or "
            f"module:callable, got {source!r}." + (f" Did you mean {near[0]!r}?" if near else "")
        )
    module = call_named(source, ModelError, "a torch.nn.Module")
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"load_model: {source} returns a torch.nn.Module, got {type(module).__name__}. Return the network."
        )
    return module, USER


def preprocess_for(model: str, usual: PreprocessName) -> PreprocessName:
    """Return the treatment of pixels that a network goes with: `none` for those that standardise raw pixels.

    Args: model: a name in `specs.MODEL_CHOICES`. usual: what the data set asks for.
    """
    return "none" if model in RAW_PIXEL_MODELS else usual

"""A network by name: a reference one, one described, one that another package builds, or `module:callable`."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..data.callables import call_named
from ..data.columns import WHY_NOT, learn_constants, load_constants
from ..data.mixed import Raw
from ..data.preprocess import preprocessed, shape_after
from ..data.tokens import load_tokenizer
from ..errors import ModelError, RequestError
from ..specs.grammar import OWN_NETWORK, PIXELS, canonical_name, is_described, parse
from ..specs.preprocess import PreprocessName, PreprocessSpec, parse_preprocess
from ..specs.specs import REFERENCE_MODELS
from .classifiers import as_classifier
from .foreign import FOLDER, TIMM, build_from_folder, build_from_timm, from_hub
from .reference import build

SHARE = "share"  # in the place of a file with constants: learned on what theta0 was trained on
NO_FILE = "0" * 64  # stands where the digest of a tokenizer will


def load_model(source: str, input_shape: Sequence[int], classes: int) -> tuple[nn.Module, str]:
    """Build the network that `source` names.

    Args: source: one of `specs.REFERENCE_MODELS`, a description (specs/grammar.py), or module:callable, which is
        imported, called without arguments and returns the network; hf:FOLDER or timm:NAME for one that transformers or
        timm builds. input_shape, classes: what it is built for, unless it is a callable's.
    Returns: the module and its name in a certificate, "user" for all but described networks.
    Raises: ModelError.
    """
    if not isinstance(source, str):
        raise ModelError(
            f"load_model: a network is a torch.nn.Module or a name, got {type(source).__name__}. "
            "Give the module itself: an instance, not its class."
        )
    if source.startswith(FOLDER):
        return build_from_folder(source.removeprefix(FOLDER), classes), OWN_NETWORK
    if source.startswith(TIMM):
        return build_from_timm(source.removeprefix(TIMM), input_shape, classes), OWN_NETWORK
    if ":" not in source:
        try:
            name = canonical_name(source)
        except ModelError as cause:
            near = difflib.get_close_matches(source, REFERENCE_MODELS, n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"{cause}{from_hub(source)}"
            if (file := Path(source).with_suffix(".py")).is_file():
                remedy = f"For a function in {file} write {file.stem}:FUNCTION, in the folder that holds it."
            raise ModelError(
                f"load_model: a network is one of {', '.join(REFERENCE_MODELS)}, a description, {FOLDER}FOLDER, "
                f"{TIMM}NAME or module:callable, got {source!r}. {remedy}"
            ) from None
        return build(name, input_shape, classes), name
    module = call_named(source, ModelError, "a torch.nn.Module")
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"load_model: {source} returns a torch.nn.Module, got {type(module).__name__}. Return the network."
        )
    return module, OWN_NETWORK


def network_for(model: nn.Module | str, x: Raw, spec: PreprocessSpec, classes: int) -> tuple[nn.Module, str]:
    """Return a module as a map to logits, or the network that `load_model` builds by its name, and its name.

    x: one raw example or more, (n, ...), which the network is to read after `spec`.
    Raises: ModelError.
    """
    if isinstance(model, nn.Module):
        return as_classifier(model, preprocessed(x[:1], spec)), OWN_NETWORK
    return load_model(model, shape_after(x, spec), classes)


def preprocess_for(model: str, usual: PreprocessName) -> PreprocessName:
    """Return the treatment of pixels that a network goes with: `none` for those that standardise raw pixels.

    Args: model: the name of a network in a certificate. usual: what the data set asks for.
    """
    raw = is_described(model) and parse(model).layers[0].kind in PIXELS
    return "none" if raw else usual


def treatment(
    model: str,
    usual: PreprocessName,
    asked: str = "auto",
    tokenizer: str | Path | None = None,
    standardise: str | Path | None = None,
    share: Raw | None = None,
) -> PreprocessSpec:
    """Return what is done to examples before a network, and load the file that it needs.

    Args: model: the name of a network in a certificate. usual: what the data set asks for. asked: auto, which is the
        usual one, or an expression (specs/preprocess.py). tokenizer: its file, or the folder that holds one.
        standardise: the file with the constants of columns, which is all that is done then, or `share`: those of the
        rows `share` (n, features), which no statement is about.
    Raises: RequestError where they do not go together; DataError where a file cannot be loaded.
    """
    if standardise is not None:
        if asked not in ("auto", "columns") or tokenizer is not None or usual != "none":
            raise RequestError(
                "certify: --standardise is for rows of numbers and all that is done to them, got it beside pictures, "
                "texts or another --preprocess. Leave it out."
            )
        if standardise != SHARE:
            return PreprocessSpec(name="columns", sha256=load_constants(standardise))
        if share is None:
            raise RequestError(
                f"certify: --standardise {SHARE} learns constants on the --prior-share of the sample, got none, or an "
                f"original network. By the sample itself there is no way: {WHY_NOT}"
            )
        return PreprocessSpec(name="learned", sha256=learn_constants(share))
    spec = parse_preprocess(preprocess_for(model, usual) if asked == "auto" else asked, sha256=NO_FILE)
    if spec.name != "none" and preprocess_for(model, spec.name) == "none":
        raise RequestError(f"certify: {model} standardises raw pixels itself, got preprocess {asked!r}. Leave it out.")
    if spec.name in ("columns", "learned"):
        raise RequestError("certify: columns are standardised by the constants of --standardise FILE, got none.")
    if spec.name == "tokens":
        if tokenizer is None:
            raise RequestError(
                "certify: texts are read as the tokens of a tokenizer, got none. Give --tokenizer FILE, a "
                "tokenizer.json or the folder that holds one, fixed before the sample was seen."
            )
        return spec.model_copy(update={"sha256": load_tokenizer(tokenizer)})
    if tokenizer is not None:
        raise RequestError(
            f"certify: a tokenizer goes with texts, got it with the preprocessing {spec.text!r}. Leave it out, or ask "
            "for --preprocess tokens."
        )
    return spec

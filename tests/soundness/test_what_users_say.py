"""A certificate that quotes the user quotes a word that was given: every such declaration follows from an option.

The table below is the whole list; a sentence that is new has to get its option here.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pacbound as pb
from pacbound.certificate import accounting, difference
from pacbound.errors import RequestError
from pacbound.request.request import Encoding, Request, free_options
from tests.methods.task import certified as surrogate_of
from tests.methods.task import save_original
from tests.tiny import CLASSES, FEATURES, clouds, network, quick

pytestmark = pytest.mark.usefixtures("brief_start")

# declared entry -> the option that says it: what it must be, and the default, under which nobody says so
SAID = {
    "architecture": ("model", "the caller's own", "auto"),
    "constants": ("frozen_buffers", "names", ()),
    "sampling": ("earlier_draws", "a number", None),
    "checkpoint": ("disjoint", "true", False),
    "theta0": ("base", "values", "seeded"),  # or a split, by prior_share
    "start": ("base", "values", "seeded"),  # or a checkpoint, by disjoint
    "class names": ("head_rows", "names", ()),
    "labels": ("prior_share", "a number", None),
    "apart": ("surrogate_checkpoint", "a file", None),
    "inputs": ("earlier_looks", "a number", None),
    "tokenizer": ("tokenizer", "a file", None),
    "standardisation": ("standardise", "a file", None),
}


def quoted(certificate: pb.Certificate) -> set[str]:
    return {entry.item for entry in certificate.entries if "says the user" in entry.why}


def test_every_sentence_that_quotes_the_user_has_its_option_and_no_option_says_it_by_default() -> None:
    source = Path(accounting.__file__).read_text("utf-8")
    assert source.count("says the user") == len(SAID) + 2  # theta0 by values or a share; the tokenizer of a text too
    for option, _, default in SAID.values():
        assert Request.model_fields[option].default == default
    assert Request.model_fields["prior_share"].default is None


def test_held_out_data_of_quantized_networks_are_quoted_by_the_word_disjoint() -> None:
    source = Path(difference.__file__).read_text("utf-8")
    assert source.count("says the user") == 1  # held out, by disjoint; the tokenizer's sentence is that of all texts
    assert "TOKENIZER_OF_TEXT) if text.alphabet.kind == " in source
    assert Request.model_fields["disjoint"].default is False
    options = {"method": "quantization-loss", "reference": "a.bin", "quantize": ("int8",), "data": "a.txt"}
    with pytest.raises(RequestError, match="Add --disjoint to say so"):
        pb.certify_quantization(Request.model_validate(options))


@pytest.fixture(scope="module")
def trained_on_noise() -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """A network that has learned 180 labels by heart which have nothing to do with the inputs."""
    x, _ = clouds(180)
    y = torch.randint(0, CLASSES, (180,), generator=torch.Generator().manual_seed(5))
    module = nn.Sequential(nn.Linear(FEATURES, 200), nn.ReLU(), nn.Linear(200, CLASSES))
    adam = torch.optim.Adam(module.parameters(), 3e-2)
    for _ in range(150):
        adam.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        adam.step()
    assert float((module(x).argmax(1) == y).float().mean()) > 0.95
    return module, (x, y)


@pytest.mark.parametrize("options", [{}, {"prior_share": 0.5}])
def test_values_that_a_module_happens_to_hold_are_not_taken_for_a_start_that_never_saw_the_sample(
    options: dict[str, Any], trained_on_noise: tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]
) -> None:
    module, sample = trained_on_noise
    made = pb.certify(module, sample, request=quick(d=2, epochs=1, **options), progress=False)
    assert made.bound.value >= 1 - 1 / CLASSES - 0.05
    assert made.hypothesis.base.kind == ("split" if options else "seeded")
    assert quoted(made) == ({"architecture", "theta0"} if options else {"architecture"})


def test_what_is_said_is_quoted() -> None:
    values = pb.certify(network(), clouds(), request=quick(base="values", d=2, epochs=1), progress=False)
    assert quoted(values) == {"architecture", "theta0"}
    started = pb.certify(
        network(), clouds(240), request=quick(base="values", prior_share=0.5, d=2, epochs=1), progress=False
    )
    assert quoted(started) == {"architecture", "theta0", "start"}
    assert started.hypothesis.base.split is not None
    assert started.hypothesis.base.split.start is not None
    named = pb.certify("mlp", clouds(), request=quick(d=2, epochs=1), progress=False)
    assert quoted(named) == set()


def test_looks_are_quoted_only_where_their_number_was_given(tmp_path: Path) -> None:
    file = save_original(tmp_path)
    assert "inputs" in quoted(surrogate_of(file))
    with pytest.raises(RequestError, match="--earlier-looks N, 0 where there were none"):
        surrogate_of(file, earlier_looks=None)
    with pytest.raises(RequestError, match="--earlier-draws N, 0 where there were none"):
        pb.certify(network(), clouds(), request=Request(posterior="draw", d=2), progress=False)


def test_an_option_helps_the_encoder_or_reaches_the_receiver_and_never_both() -> None:
    free = set(Encoding.model_fields)
    declared = {"data", "test", "delta", "loss", "unlabelled", "earlier_draws", "earlier_looks", "disjoint"}
    assert declared & free == set()
    for method in ("subspace", "direct", "surrogate", "picks", "auto"):
        assert set(free_options(Request(method=method))) <= free  # type: ignore[arg-type]
    assert free_options(Request(posterior="draw")) == ()


CHANGED = {
    "budget": 0.001, "encoder": "codebook", "step": 0.25, "levels": 5, "codebook_init": "uniform", "code": ("laplace",),
    "epochs": 4, "device": "cpu", "batch": 45, "rate": 0.2, "beta": 0.2, "encoder_seed": 3,
    "optimizer": "sgd", "encoder_seeds": 2,
}  # fmt: skip


COMMON: dict[str, Any] = {"d": 6, "epochs": 3, "batch": 60, "beta": 0.1, "rate": 0.3}


def rest(request: Request) -> list[tuple[str, int]]:
    """The entries of its certificate that are not of the coefficients."""
    made = pb.certify(network(), clouds(180), request=request, progress=False)
    assert made.hypothesis.projector is not None
    coefficients = {"quantizer", "symbol model", "symbols"}
    return [(entry.item, entry.bits) for entry in made.entries if entry.item not in coefficients]


@pytest.fixture(scope="module")
def plain() -> list[tuple[str, int]]:
    return rest(quick(**COMMON))


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_free_changes_nothing_but_the_coded_coefficients(name: str, plain: list[tuple[str, int]]) -> None:
    """Not one entry before or beside quantizer, code and symbols moves: the prior is the same."""
    if name == "budget":
        options: dict[str, Any] = {"epochs": None, name: CHANGED[name]}
    elif name in ("levels", "codebook_init"):
        options = {"encoder": "codebook", name: CHANGED[name]}
    elif name == "optimizer":
        options = {"encoder": "plain", name: CHANGED[name]}
    else:
        options = {name: CHANGED[name]}
    assert set(CHANGED) == set(free_options(Request()))
    assert rest(quick(**{**COMMON, **options})) == plain

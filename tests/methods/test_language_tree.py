"""Certificates of context trees and of theta0s that a description and a file make: one message, one decoder."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pacbound.certificate.language import LanguageCertificate
from pacbound.errors import PacboundError
from pacbound.methods.language import certify_language, forecast_language
from pacbound.models.language import load_language_model
from pacbound.models.reference import initialise
from pacbound.networks.frozen import freeze_network
from pacbound.networks.hypothesis import Hypothesis
from pacbound.request.request import Request
from pacbound.specs.language import TOLERANCE_BITS
from pacbound.training.context_tree import LEAST_COUNT, fit_tree
from pacbound.verification.language_losses import rebuild_language_base
from pacbound.verification.verification import verify
from tests.markov import save_text
from tests.training.test_context_tree import contexts_of, nats

N = 6000
OPTIONS = {"task": "lm", "alphabet": "ascii97", "context": 16}


def certified(data: Path, **options: object) -> LanguageCertificate:
    return certify_language(Request.model_validate({**OPTIONS, "data": str(data), **options}), progress=False)


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    return save_text(tmp_path_factory.mktemp("tree"), N)


@pytest.fixture(scope="module")
def tree(text) -> tuple[Path, LanguageCertificate]:
    return text, certified(text, model="tree3", held_out=0.1, stride=4)


def test_a_tree_passes_all_checks_and_knows_more_than_frequencies(tree):
    data, certificate = tree
    found = verify(certificate, level="risk", data=str(data))
    assert found.stands, found.reason
    beside = {one.name: one for one in certificate.predictors}
    assert certificate.mean < beside["unigram"].mean - 0.2  # the source has contexts of one symbol
    assert certificate.hypothesis.model.startswith("K")
    assert "theta0" not in beside


def test_a_forecast_of_a_tree_counts_the_contexts_that_are_frequent(tree):
    """A dictionary of strings, each of which a symbol follows and whose endings are frequent too, says how many."""
    data, certificate = tree
    found = forecast_language(Request.model_validate({**OPTIONS, "data": str(data), "model": "tree3", "held_out": 0.1}))
    text = data.read_text("ascii")[: certificate.text.symbols]
    assert (found.symbols, found.losses, found.seconds) == (len(text), len(text), None)
    for k, count in enumerate(found.contexts, 1):
        seen = Counter(text[at - k : at] for at in range(k, len(text)))
        assert count == sum(times >= LEAST_COUNT for times in seen.values())
    assert len(found.contexts) == 3


def test_what_is_evaluated_is_what_a_dictionary_of_the_fitted_tree_gives(tree):
    """The losses of the first window, by the tree that was fitted and not by the one that was decoded."""
    data, certificate = tree
    text = data.read_text("ascii")[: certificate.text.symbols]
    letters = sorted(set(text), key=ord)
    symbols = np.array([letters.index(letter) for letter in text])
    found = contexts_of(*fit_tree(symbols, len(letters), 3))
    base = rebuild_language_base(certificate, None)
    network = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base).network()
    sizes = [sum(len(context) == k for context in found) for k in (1, 2, 3)]
    assert certificate.hypothesis.model == "-".join([*(f"K{size}" for size in sizes if size), "L"])
    assert sum(p.numel() for p in network.parameters()) == base.layout.D
    alpha, V = certificate.prediction.smoothing, certificate.text.alphabet.size
    unsmoothed = nats(found, symbols.tolist()) / len(symbols) / math.log(2)
    low, high = unsmoothed + math.log2(1 - alpha) - 0.2, unsmoothed - math.log2(1 - alpha) + 0.2 + TOLERANCE_BITS
    assert low < certificate.mean < high < math.log2(V)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"model": "K3-L"}, "found by --model tree4, got K3-L"),
        ({"model": "tree9"}, "contexts of 1 to 8 symbols, got tree9"),
        ({"model": "tree2", "d": 8}, "--d is not for a context tree"),
        ({"model": "tree2", "projector": "tiled"}, "--projector is not for a context tree"),
        ({"model": "tree2", "encoder_seed": 3}, "--encoder-seed is not for a context tree"),
        ({"encoder": "weights"}, "around a checkpoint or --prior-share"),
        ({"encoder": "weights", "prior_share": 0.5, "d": 8}, "--d is of a subspace"),
    ],
)
def test_what_is_no_tree_and_no_start_is_refused(tree, options, match):
    with pytest.raises(PacboundError, match=match):
        certified(tree[0], **options)


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """Weights of E4-gru6-L over the 97 characters, as a file."""
    network, _ = load_language_model("E4-gru6-L", 97)
    initialise(network, 4)
    file = tmp_path_factory.mktemp("start") / "theta0.safetensors"
    file.write_bytes(freeze_network(network))
    return file


def test_every_weight_is_coded_around_a_file_of_a_described_network(tree, start, tmp_path):
    data, _ = tree
    of = {
        "model": "E4-gru6-L",
        "checkpoint": str(start),
        "disjoint": True,
        "encoder": "weights",
        "epochs": 10,
        "stride": 4,
    }
    certificate = certified(data, **of)
    assert (certificate.hypothesis.base.kind, certificate.hypothesis.model) == ("checkpoint", "E4-gru6-L")
    assert certificate.hypothesis.quantizer is not None
    assert certificate.hypothesis.quantizer.kind == "tensors"
    assert "disjoint from this text" in " ".join(certificate.declarations)
    beside = {one.name: one for one in certificate.predictors}
    assert certificate.stated_bound.value < beside["theta0"].value
    found = verify(certificate, level="risk", data=str(data), checkpoint=str(start))
    assert found.stands, found.reason
    assert "theta0" in found.passed
    with pytest.raises(PacboundError, match="needs the checkpoint"):
        verify(certificate, level="risk", data=str(data))
    other = tmp_path / "other.safetensors"
    network, _ = load_language_model("E4-gru6-L", 97)
    initialise(network, 5)
    other.write_bytes(freeze_network(network))
    assert verify(certificate, level="risk", data=str(data), checkpoint=str(other)).failed == "network"


def test_a_file_that_is_not_of_the_described_network_is_refused(tree, start):
    of = {"checkpoint": str(start), "disjoint": True}
    with pytest.raises(PacboundError, match="Describe its network"):
        certified(tree[0], **of)
    with pytest.raises(PacboundError, match=r"got \(18,\) in theta0"):
        certified(tree[0], model="E4-gru7-L", **of)


def test_a_split_goes_on_from_such_a_file_and_its_rest_needs_it_no_more(tree, start):
    data, _ = tree
    of = {
        "model": "E4-gru6-L",
        "checkpoint": str(start),
        "disjoint": True,
        "prior_share": 0.5,
        "epochs": 3,
        "stride": 4,
        "start_minutes": 0.001,
    }
    certificate = certified(data, encoder="weights", **of)
    split = certificate.hypothesis.base.split
    assert split is not None
    assert split.start is not None
    assert "theta0 was trained from a checkpoint" in " ".join(certificate.declarations)
    assert verify(certificate, level="risk", data=str(data)).stands


@pytest.mark.one_worker
def test_adapters_of_a_network_from_a_seed_are_coded_in_a_subspace(text):
    pytest.importorskip("peft", reason="the extra peft is not installed")
    certificate = certified(text, model="E8-attn2-L", train="lora:2", d=64, epochs=2, encoder="plain", stride=4)
    assert (certificate.hypothesis.train, certificate.hypothesis.base.kind) == ("lora:2", "seeded")
    found = verify(certificate, level="risk", data=str(text))
    assert found.stands, found.reason

"""Held-out figures: counted again where the examples are at hand, and said to be their author's word where not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pacbound as pb
from pacbound.bounds.table import theorem
from pacbound.data.registry import load
from pacbound.data.user import as_examples
from pacbound.errors import RequestError
from pacbound.reports.show import render
from tests.forge import Document, Edit, forge
from tests.tiny import clouds, network, quick

TEST = clouds(60, seed=1)


@pytest.fixture(scope="module")
def certificate() -> pb.Certificate:
    return pb.certify(network(), clouds(), test=TEST, request=quick(base="values"), progress=False)


@pytest.fixture(scope="module")
def digits() -> pb.Certificate:
    request = pb.Request(model="mlp", encoder="plain", d=8, epochs=1)
    return pb.certify(request=request, progress=False)


def errors_by_hand(certificate: pb.Certificate) -> int:
    from tests.soundness.task import decode

    logits = decode(certificate, network())(TEST[0])
    lead = logits.gather(1, TEST[1][:, None])[:, 0] - logits.scatter(1, TEST[1][:, None], -torch.inf).amax(1)
    return int((lead <= 1e-4 * logits.abs().amax(1)).sum())


def verified(certificate: object, **given: Any) -> pb.Verification:
    return pb.verify(certificate, data=clouds(), model=network(), **given)  # type: ignore[arg-type]


def test_held_out_errors_are_counted_again_where_the_examples_are_given(certificate: pb.Certificate) -> None:
    result = verified(certificate, test=TEST).require()
    assert result.passed[-2:] == ("held-out examples", "held-out errors")
    assert result.held_out is not None
    assert (result.held_out.errors, result.held_out.n) == (errors_by_hand(certificate), 60)
    assert not any("held-out" in sentence for sentence in result.unchecked)


def test_where_nobody_counted_them_again_that_is_said_with_the_figure(certificate: pb.Certificate) -> None:
    errors = next(other for other in certificate.also if other.kind == "bound").errors
    for result in (verified(certificate), pb.verify(certificate), pb.verify(certificate, level="arithmetic")):
        (sentence,) = [s for s in result.unchecked if "held-out" in s]
        assert f"{errors:,} errors on 60 held-out examples, as their author counted them; not rechecked" in sentence
        assert "--test" in sentence
    for name in ("text", "markdown", "latex"):
        (line,) = [line for line in render(certificate, name).splitlines() if "test error" in line]  # type: ignore[arg-type]
        assert "as its author counted; not rechecked here" in line
    (bound,) = [other for other in certificate.document()["also"] if other["kind"] == "bound"]  # type: ignore[union-attr, index, call-overload]
    assert bound["held_out"]["rechecked"] is False  # type: ignore[index, call-overload]


def restated(**changed: object) -> Edit:
    """Change the held-out figures and compute the bound that goes with them."""

    def edit(document: Document) -> None:
        other = document["also"][0]
        other.update(changed)
        other["value"] = theorem(other["theorem"])(other["errors"], other["n"], 0, other["delta"]).value

    return edit


def named(**changed: object) -> Edit:
    return lambda document: document["also"][0]["held_out"].update(changed)


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        pytest.param(lambda d: restated(errors=d["also"][0]["errors"] - 1)(d), "held-out errors", id="one error less"),
        pytest.param(restated(errors=0, n=10**9), "sample", id="a billion examples, copies of sixty"),
        pytest.param(lambda d: (restated(n=61)(d), named(distinct=61)(d)), "held-out examples", id="one example more"),
        pytest.param(named(digest="0" * 64), "held-out examples", id="other examples"),
        pytest.param(named(distinct=59), "sample", id="copies without a word"),
    ],
)
def test_forged_held_out_figures_do_not_stand_beside_the_examples(
    certificate: pb.Certificate, edit: Callable[[Document], None], check: str, tmp_path: Path
) -> None:
    assert verified(forge(certificate, edit, tmp_path / "forged.json"), test=TEST).failed == check


def test_more_errors_than_there_are_stand(certificate: pb.Certificate, tmp_path: Path) -> None:
    path = forge(certificate, restated(errors=50), tmp_path / "more.json")
    assert verified(path, test=TEST).stands


def test_other_examples_in_their_place_do_not_stand(certificate: pb.Certificate) -> None:
    for other in (clouds(60, seed=2), (TEST[0].flip(0), TEST[1].flip(0)), (TEST[0], TEST[1].roll(1))):
        assert verified(certificate, test=other).failed == "held-out examples"


def test_held_out_examples_of_the_sample_itself_do_not_stand(certificate: pb.Certificate, tmp_path: Path) -> None:
    x, y = clouds()
    mine = as_examples((x[:60], y[:60]))
    edit = lambda d: (restated(errors=60)(d), named(digest=mine.digest())(d))  # noqa: E731
    result = verified(forge(certificate, edit, tmp_path / "own.json"), test=mine)  # type: ignore[arg-type]
    assert (result.failed, "stand among the training examples" in str(result.reason)) == ("held-out examples", True)


def test_embedded_examples_are_counted_again_without_being_asked_for(digits: pb.Certificate, tmp_path: Path) -> None:
    result = pb.verify(digits).require()
    assert result.held_out is not None
    assert result.held_out.n == 360
    path = forge(digits, restated(errors=0), tmp_path / "forged.json")
    assert pb.verify(path).failed == "held-out errors"
    billion = lambda d: (restated(errors=0, n=10**9)(d), named(distinct=10**9)(d))  # noqa: E731
    assert pb.verify(forge(digits, billion, tmp_path / "billion.json")).failed == "held-out examples"  # type: ignore[arg-type]
    elsewhere = forge(digits, named(digest="0" * 64), tmp_path / "elsewhere.json")
    assert any("not rechecked" in sentence for sentence in pb.verify(elsewhere).unchecked)
    assert pb.verify(elsewhere, test=load("digits", split="test")).failed == "held-out examples"


def test_held_out_examples_that_no_figure_is_about_are_refused() -> None:
    made = pb.certify(network(), clouds(), request=quick(), progress=False)
    with pytest.raises(RequestError, match="names no held-out examples"):
        verified(made, test=TEST)


def test_the_majority_class_is_counted_again(certificate: pb.Certificate, tmp_path: Path) -> None:
    path = forge(certificate, lambda d: d["also"][1].update(errors=79), tmp_path / "majority.json")
    assert verified(path).failed == "majority class"

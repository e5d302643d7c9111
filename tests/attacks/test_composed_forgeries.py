"""Forged certificates about an original network: each is caught at the first level that must catch it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import pacbound as pb
from pacbound.bounds.disagreement import delta_splits, disagreement, sum_up
from pacbound.bounds.inversion import binomial_tail_inverse
from pacbound.bounds.occam import test_set as held_out_bound
from pacbound.certificate.statement import write_statement
from pacbound.verification.verification import verify
from tests.forge import Document, Edit, caught, forge, make_consistent
from tests.methods.task import N, arguments, certified, save_original, unlabelled
from tests.tiny import clouds, network


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_original(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def certificate(file: Path) -> pb.Certificate:
    return certified(file)


def recompute(document: Document) -> None:
    """What a careful forger does: every number that follows from the others is made right again."""
    risk, (one, other), delta = document["risk"], document["parts"], document["bound"]["delta"]
    bits = sum(entry["bits"] for entry in document["ledger"])
    other["bits"] = sum(entry["bits"] for entry in document["ledger"] if entry["kind"] == "choice")
    made = disagreement(risk["errors"], risk["n"], bits, other["differing"], other["inputs"]["m"], other["bits"], delta)
    one.update(value=made.surrogate, delta=made.surrogate_delta)
    other.update(value=made.difference, delta=made.difference_delta)
    document["bound"]["value"] = made.bound.value
    document["message"]["bits"] = sum(e["bits"] for e in document["ledger"] if e["kind"] == "counted")
    document["declarations"] = [e["why"] for e in document["ledger"] if e["kind"] == "declared"]
    restate(document)


def restate(document: Document) -> None:
    """Write the sentence that goes with the numbers, without rechecking them."""
    from pacbound.bounds.claims import Bound, RiskEstimate
    from pacbound.certificate.parts import DisagreementPart

    part = DisagreementPart.model_validate(document["parts"][1])
    claim = Bound(reference="", **document["bound"])
    document["statement"] = write_statement(
        claim, RiskEstimate(**document["risk"]), document["data"]["classes"], None, part
    )


def honest_numbers(edit: Edit) -> Edit:
    """An edit after which every number that follows is made right again."""

    def both(document: Document) -> None:
        edit(document)
        recompute(document)

    return both


def swap(document: Document) -> None:
    document["parts"].reverse()


def one_less(document: Document) -> None:
    document["parts"][1]["differing"] -= 1


def entry(document: Document, item: str) -> Document:
    return next(e for e in document["ledger"] if e["item"] == item)


def other_delta(document: Document) -> None:
    """A surrogate's part at the whole of delta, which is not left for it."""
    one = document["parts"][0]
    bits = sum(e["bits"] for e in document["ledger"])
    one["delta"] = document["bound"]["delta"]
    one["value"] = binomial_tail_inverse(document["risk"]["errors"], document["risk"]["n"], bits, one["delta"])
    document["bound"]["value"] = sum_up(one["value"], document["parts"][1]["value"])
    restate(document)


def unpaid_inputs(document: Document) -> None:
    """The disagreement's part without the bits of the choices, as if the split were paid once."""
    one, other = document["parts"]
    other["bits"] = 0
    other["value"] = held_out_bound(other["differing"], other["inputs"]["m"], 0, other["delta"]).value
    document["bound"]["value"] = sum_up(one["value"], other["value"])
    restate(document)


def unpaid_split(document: Document) -> None:
    document["ledger"].remove(entry(document, "split of delta"))
    document["parts"][1]["bits"] = sum(e["bits"] for e in document["ledger"] if e["kind"] == "choice")


def no_longer_composed(document: Document) -> None:
    """The surrogate's bound passed off as one of the original's file."""
    document["parts"] = []
    document["bound"].update(theorem="occam_binomial")
    make_consistent(document)


def original_as_theta0(document: Document) -> None:
    base = document["hypothesis"]["base"]
    sha256 = document["parts"][1]["original"]["sha256"]
    base.update(kind="checkpoint", sha256=sha256, disjoint=True, seed=0, values="0" * 64)


def with_base(**changed: object) -> Edit:
    return lambda document: document["hypothesis"].update(base={"seed": 0, "disjoint": False, **changed})


SPLIT = {"parts": 1, "whole": N, "digest": "0" * 64, "size": 1, "seed": 0}


def lower(part: int) -> Edit:
    def edit(document: Document) -> None:
        document["parts"][part]["value"] *= 0.9

    return edit


def theorem_kept_parts_dropped(document: Document) -> None:
    document["parts"] = []


FORGERIES: tuple[tuple[str, Edit, str, str], ...] = (
    ("one disagreement less, sum kept", one_less, "risk", "disagreement"),
    ("one disagreement less, bound with it", honest_numbers(one_less), "risk", "disagreement"),
    ("one error less, bound with it", honest_numbers(lambda d: d["risk"].update(errors=d["risk"]["errors"] - 1)),
     "risk", "errors"),
    ("parts swapped", swap, "arithmetic", "schema"),
    ("one part alone", lambda d: d["parts"].pop(), "arithmetic", "schema"),
    ("a part twice", lambda d: d["parts"].append(d["parts"][1]), "arithmetic", "schema"),
    ("more differ than there are", lambda d: d["parts"][1].update(differing=10**6), "arithmetic", "schema"),
    ("surrogate's part lowered", lower(0), "arithmetic", "bound"),
    ("disagreement's part lowered", lower(1), "arithmetic", "bound"),
    ("sum lowered", lambda d: d["bound"].update(value=0.01), "arithmetic", "bound"),
    ("a part with another delta", other_delta, "arithmetic", "bound"),
    ("choices paid by one part", unpaid_inputs, "arithmetic", "bound"),
    ("split unpaid", unpaid_split, "arithmetic", "bound"),
    ("looks unpaid", honest_numbers(lambda d: d["ledger"].remove(entry(d, "looks"))), "message", "ledger"),
    ("looks paid as one", honest_numbers(lambda d: d["parts"][1].update(looks=2)), "message", "ledger"),
    ("declaration about the inputs dropped", honest_numbers(lambda d: d["ledger"].remove(entry(d, "inputs"))),
     "message", "ledger"),
    ("more inputs than there were", honest_numbers(lambda d: d["parts"][1]["inputs"].update(m=5000)),
     "arithmetic", "sample"),
    ("more distinct inputs than there were",
     honest_numbers(lambda d: d["parts"][1]["inputs"].update(m=5000, distinct=5000)), "risk", "inputs"),
    ("inputs said to be like tuned data, the ledger kept",
     honest_numbers(lambda d: d["parts"][1]["inputs"].update(like="mnist")), "message", "ledger"),
    ("tuned inputs renamed", honest_numbers(lambda d: d["parts"][1]["inputs"].update(name="mnist")),
     "message", "ledger"),
    ("another original", honest_numbers(lambda d: d["parts"][1]["original"].update(sha256="1" * 64)),
     "risk", "checkpoint"),
    ("another original, sentence kept", lambda d: d["parts"][1]["original"].update(sha256="1" * 64),
     "arithmetic", "statement"),
    ("original as theta0", honest_numbers(original_as_theta0), "arithmetic", "bound"),
    ("surrogate of an architecture of one's own", honest_numbers(lambda d: d["hypothesis"].update(model="user")),
     "arithmetic", "bound"),
    ("values handed over as theta0", honest_numbers(with_base(kind="values", sha256="1" * 64)), "arithmetic", "bound"),
    ("a split from values handed over", honest_numbers(
        with_base(kind="split", sha256="1" * 64, split={**SPLIT, "start": "2" * 64, "whole": 243, "parts": 1})
     ), "arithmetic", "bound"),
    ("binomial theorem on a composed one", lambda d: d["bound"].update(theorem="occam_binomial"),
     "arithmetic", "theorem"),
    ("theorem without parts", theorem_kept_parts_dropped, "arithmetic", "theorem"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "edit", "level", "check"), FORGERIES, ids=[name for name, *_ in FORGERIES])
def test_each_forgery_is_caught_first_at_its_level(
    certificate: pb.Certificate, file: Path, tmp_path: Path, name: str, edit: Edit, level: str, check: str
) -> None:
    path = forge(certificate, edit, tmp_path / "forged.json")
    assert caught(path, "risk", **arguments(file)) == (level, check)


def test_the_surrogates_own_bound_says_nothing_of_the_original(
    certificate: pb.Certificate, file: Path, tmp_path: Path
) -> None:
    path = forge(certificate, no_longer_composed, tmp_path / "forged.json")
    assert caught(path, "risk", data=clouds(N)) == ("message", "ledger")  # it still pays for what it no longer says


def test_a_share_of_delta_is_one_of_sixteen(certificate: pb.Certificate) -> None:
    one, other = certificate.parts
    assert (one.delta, other.delta) in delta_splits(0.05)


def test_inputs_that_stand_in_the_sample_are_caught_by_hashing(
    certificate: pb.Certificate, file: Path, tmp_path: Path
) -> None:
    """The forger compares on the labelled sample itself, where the surrogate was trained to agree."""
    from pacbound.data.registry import load_inputs

    inputs = unlabelled()
    inputs[3] = clouds(N)[0][100]

    def edit(document: Document) -> None:
        document["parts"][1]["inputs"].update(digest=load_inputs(inputs).digest())

    path = forge(certificate, edit, tmp_path / "forged.json")
    given = {**arguments(file), "unlabelled": inputs}
    assert caught(path, "risk", **given) == ("risk", "overlap")


def test_another_file_with_other_answers_is_caught(certificate: pb.Certificate, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file(network(9).state_dict(), other)
    result = verify(certificate, data=clouds(N), model=network(), checkpoint=other, unlabelled=unlabelled())
    assert result.failed == "checkpoint"


def test_inputs_in_another_order_are_other_inputs(certificate: pb.Certificate, file: Path) -> None:
    result = verify(certificate, **{**arguments(file), "unlabelled": torch.flip(unlabelled(), (0,))})
    assert result.failed == "inputs"


@pytest.mark.parametrize("lacking", ["checkpoint", "unlabelled", "model", "data"])
def test_level_risk_says_what_it_lacks(certificate: pb.Certificate, file: Path, lacking: str) -> None:
    given = {name: value for name, value in arguments(file).items() if name != lacking}
    with pytest.raises(pb.PacboundError, match=f"level risk needs .*--{lacking}"):
        verify(certificate, **given)

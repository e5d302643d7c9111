"""Forged picks: each is refused at the first level that can see it; what only replay can see is not reproduced."""

import copy
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.bits.message import pack
from pacbound.bits.picks import encode_indices
from pacbound.bounds.claims import Bound, RiskEstimate
from pacbound.bounds.preference import picks, picks_classical
from pacbound.certificate import Certificate
from pacbound.certificate.accounting import complete
from pacbound.certificate.canonical import write_base64
from pacbound.certificate.picked import PicksPart
from pacbound.certificate.statement import write_statement
from pacbound.methods.table import certify
from pacbound.networks.frozen import freeze_network
from pacbound.request.request import Request
from pacbound.specs.picks import PicksSpec, sizes
from pacbound.specs.specs import HypothesisSpec
from pacbound.verification.verification import verify
from tests.attacks.test_composed_forgeries import recompute
from tests.forge import Document, caught, forge, honest
from tests.methods.task import certified, save_original
from tests.picking.task import noisy
from tests.tiny import network

N = 150
QUICK = {
    "method": "picks", "pick_first": 4, "pick_growth": 8, "pick_steps": 25, "pick_epochs": 0, "pick_batch": 16,
    "pick_rate": 30000, "augmentation": "none", "max_picks": 12,
}  # fmt: skip
Edit = Callable[[Document], object]


def sample() -> tuple[Any, Any]:
    examples = noisy(N)
    return examples.x, examples.y


def made(**options: object) -> Certificate:
    request = Request.model_validate({**QUICK, **options})
    return certify(network(), sample(), request=request, progress=False)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return made()


@pytest.fixture(scope="module")
def worst() -> Certificate:
    return made(pick_order="worst")


@pytest.fixture
def folder(certificate: Certificate, tmp_path: Path) -> Path:
    certificate.save(tmp_path / "honest.json")
    return tmp_path


def part_of(certificate: Certificate) -> PicksPart:
    assert certificate.picks is not None
    return certificate.picks


def consistent(document: Document) -> None:
    """What a careful forger does: every number that follows from picks, errors and ledger is made right again."""
    part, risk, bound = document["picks"], document["risk"], document["bound"]
    bits = sum(entry["bits"] for entry in document["ledger"])
    part["bits"] = part["picked"] * (risk["n"] - 1).bit_length()
    bound["value"] = picks(part["picked"], part["errors"], risk["n"], bits, bound["delta"]).value
    for other in document["also"]:
        if other.get("theorem") == "picks_classical":
            value = picks_classical(part["picked"], part["errors"], risk["n"], bits, other["delta"]).value
            other.update(value=value, errors=part["errors"], bits=bits)
    document["message"]["bits"] = sum(e["bits"] for e in document["ledger"] if e["kind"] == "counted")
    document["declarations"] = [e["why"] for e in document["ledger"] if e["kind"] == "declared"]
    restate(document)


def restate(document: Document) -> None:
    claim = Bound(reference="", **document["bound"])
    risk, classes = RiskEstimate(**document["risk"]), document["data"]["classes"]
    document["statement"] = write_statement(claim, risk, classes, picked=document["picks"]["picked"])


def repack(document: Document, **changes: object) -> None:
    """Another recipe or stop, with the message and the ledger that go with it."""
    quantizer = document["hypothesis"]["quantizer"]
    quantizer.update({name: value for name, value in changes.items() if name in ("stop", "sha256", "size")})
    quantizer["recipe"].update({name: value for name, value in changes.items() if name in quantizer["recipe"]})
    spec = HypothesisSpec.model_validate_json(json.dumps(document["hypothesis"]))
    message, coded = pack(spec, np.zeros(0, np.int32))
    document["message"] = {"bits": message.bits, "payload": write_base64(message.payload)}
    ledger = complete(coded, spec, document["data"]["name"], document["data"]["digest"])
    document["ledger"] = [entry.model_dump(mode="json") for entry in ledger.entries]


def list_picks(document: Document, picked: list[int]) -> None:
    """Another T, with the bits that it takes; no rounds, which nobody has to list."""
    code = write_base64(encode_indices(np.array(picked, np.int64), document["risk"]["n"]))
    document["picks"].update(picked=len(picked), indices=code, rounds=[])


def order_of(certificate: Certificate) -> list[int]:
    found: list[int] = part_of(certificate).order(N).tolist()
    return found


@functools.cache
def missed(certificate: Certificate) -> list[bool]:
    """Who is misclassified by the network in the file, asked by the tests' own means."""
    from tests.picking.task import logits_of, wrong

    class File:
        network = certificate.beside()

    x, y = sample()
    return wrong(logits_of(File, network(), x), y)  # type: ignore[arg-type]


def recount(certificate: Certificate, document: Document) -> None:
    """The honest errors of the file outside the T that the document lists."""
    part = PicksPart.model_validate_json(json.dumps({**document["picks"], "bits": 0}))
    outside = set(range(N)) - set(part.order(N).tolist())
    document["picks"]["errors"] = sum(wrong for row, wrong in enumerate(missed(certificate)) if row in outside)


# ---------------------------------------------------------------- honest ones


@pytest.mark.parametrize("which", ["certificate", "worst"])
def test_the_honest_one_stands_at_every_level_and_says_on_whose_word(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    one: Certificate = request.getfixturevalue(which)
    one.save(tmp_path / "honest.json")
    assert caught(tmp_path / "honest.json", "risk", data=sample(), model=network()) is None
    part = part_of(one)
    assert (part.picked > 0, part.errors > 0) == (True, True)
    assert part.errors == sum(wrong for row, wrong in enumerate(missed(one)) if row not in order_of(one))
    assert one.risk.errors == sum(missed(one))
    risk = verify(tmp_path / "honest.json", data=sample(), model=network())
    assert (risk.level, risk.replay) == ("risk", None)
    assert any("on its author's word (level replay)" in sentence for sentence in risk.unchecked)
    whole = verify(tmp_path / "honest.json", data=sample(), model=network(), level="replay")
    assert whole.require().replay is not None
    assert (whole.replay.reproduced, whole.replay.picked, whole.replay.errors) == (True, part.picked, part.errors)
    assert whole.replay.value == one.bound.value
    assert not any("author's word" in sentence and "level replay" in sentence for sentence in whole.unchecked)


def test_replay_needs_the_data_and_a_selection(certificate: Certificate, folder: Path) -> None:
    from pacbound.errors import RequestError

    with pytest.raises(RequestError, match="--data"):
        verify(folder / "honest.json", level="replay")
    with pytest.raises(RequestError, match="runs a selection"):
        verify(honest(), level="replay")


# ---------------------------------------------------------------- seen without running the selection again


def one_error_less(document: Document) -> None:
    document["picks"]["errors"] -= 1


def one_error_less_in_all(document: Document) -> None:
    document["risk"]["errors"] -= 1


def more_inside_than_picks(document: Document) -> None:
    document["risk"]["errors"] = document["picks"]["errors"] + document["picks"]["picked"] + 1


def fewer_in_all_than_outside(document: Document) -> None:
    document["risk"]["errors"] = document["picks"]["errors"] - 1


def one_pick_less(document: Document) -> None:
    document["picks"].update(picked=document["picks"]["picked"] - 1, rounds=[])


def _listed(edit: Callable[[list[int]], list[int]]) -> Edit:
    def change(document: Document) -> None:
        part = PicksPart.model_validate_json(json.dumps(document["picks"]))
        list_picks(document, edit(part.order(N).tolist()))

    return change


def padding(document: Document) -> None:
    """A bit set where zeros fill the last byte, or a byte too many where there are none."""
    from pacbound.certificate.canonical import read_base64

    raw = bytearray(read_base64(document["picks"]["indices"], "picks"))
    spare = -document["picks"]["picked"] * (N - 1).bit_length() % 8
    raw = raw[:-1] + bytes([raw[-1] | 1]) if spare else raw + b"\0"
    document["picks"]["indices"] = write_base64(bytes(raw))


def _quantizer(**changes: object) -> Edit:
    def change(document: Document) -> None:
        quantizer = document["hypothesis"]["quantizer"]
        quantizer.update({name: value for name, value in changes.items() if name in quantizer})
        quantizer["recipe"].update({name: value for name, value in changes.items() if name in quantizer["recipe"]})

    return change


def _stop(step: int) -> Edit:
    return lambda document: repack(document, stop=document["hypothesis"]["quantizer"]["stop"] + step)


def _bits(item: str) -> Edit:
    def change(document: Document) -> None:
        entry = next(entry for entry in document["ledger"] if entry["item"] == item)
        entry["bits"] -= 1

    return change


def _drop(item: str) -> Edit:
    def change(document: Document) -> None:
        document["ledger"] = [entry for entry in document["ledger"] if entry["item"] != item]

    return change


def _rounds(edit: Callable[[list[Document]], object]) -> Edit:
    return lambda document: edit(document["picks"]["rounds"])


def other_bound(theorem: str) -> Edit:
    def change(document: Document) -> None:
        for other in document["also"]:
            if other.get("theorem") == "picks_classical":
                other["theorem"] = theorem

    return change


SEEN: tuple[tuple[str, Edit, str, str], ...] = (
    ("an error less outside T", one_error_less, "risk", "errors"),
    ("an error less in all", one_error_less_in_all, "risk", "errors"),
    ("more errors inside T than picks", more_inside_than_picks, "arithmetic", "bound"),
    ("a negative number of errors inside T", fewer_in_all_than_outside, "arithmetic", "bound"),
    ("a negative number of errors", lambda d: d["picks"].update(errors=-1), "arithmetic", "schema"),
    ("a pick less, indices kept", one_pick_less, "arithmetic", "bound"),
    ("a pick less", _listed(lambda picked: picked[:-1]), "arithmetic", "bound"),
    ("a pick more", _listed(lambda picked: [*picked, min(set(range(N)) - set(picked))]), "message", "picks"),
    ("an index twice", _listed(lambda picked: [*picked[:-1], picked[0]]), "message", "picks"),
    ("an index out of range", _listed(lambda picked: [*picked[:-1], N]), "message", "picks"),
    ("padding that is not zero", padding, "message", "picks"),
    ("indices that are no base64", lambda d: d["picks"].update(indices="?"), "message", "picks"),
    ("bits of the indices", lambda d: d["picks"].update(bits=1), "arithmetic", "bound"),
    ("another recipe beside the message", _quantizer(steps=50), "message", "hypothesis"),
    ("another seed beside the message", _quantizer(seed=1), "message", "hypothesis"),
    ("a recipe from no menu", _quantizer(steps=26), "arithmetic", "schema"),
    ("another stop beside the message", lambda d: d["hypothesis"]["quantizer"].update(stop=1), "message", "hypothesis"),
    ("a later stop", _stop(1), "arithmetic", "bound"),
    ("an earlier stop", _stop(-1), "message", "picks"),
    ("a stop outside the list", lambda d: repack(d, stop=40), "arithmetic", "bound"),
    ("a stop outside all lists", lambda d: d["hypothesis"]["quantizer"].update(stop=64), "arithmetic", "schema"),
    ("a bit of the recipe", _bits("recipe"), "message", "ledger"),
    ("a bit of the stop", _bits("stop"), "message", "ledger"),
    ("the stop is not paid", _drop("stop"), "message", "ledger"),
    ("the learner is not declared", _drop("learner"), "message", "ledger"),
    ("another theorem", lambda d: d["bound"].update(theorem="occam_binomial"), "arithmetic", "theorem"),
    ("the other theorem as headline", lambda d: d["bound"].update(theorem="picks_classical"), "arithmetic", "theorem"),
    ("errors of another kind", lambda d: d["risk"].update(loss="top_1"), "arithmetic", "bound"),
    ("the section left out", lambda d: d.pop("picks"), "arithmetic", "schema"),
    ("occam beside it", other_bound("occam_binomial"), "arithmetic", "other bounds"),
    ("rounds that shrink", _rounds(lambda r: r.reverse()), "arithmetic", "bound"),
    ("rounds without T", _rounds(lambda r: r.__setitem__(slice(None), r[:1])), "arithmetic", "bound"),
    ("a round that asks too many", _rounds(lambda r: r[-1].update(asked=N)), "arithmetic", "bound"),
    ("more wrong than asked", _rounds(lambda r: r[0].update(wrong=r[0]["asked"] + 1)), "arithmetic", "bound"),
)  # fmt: skip


@pytest.mark.parametrize(("edit", "level", "check"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN])
def test_every_edit_is_refused_by_name(
    certificate: Certificate, folder: Path, edit: Edit, level: str, check: str
) -> None:
    def both(document: Document) -> None:
        edit(document)
        if "picks" in document and document["picks"]["errors"] >= 0 and check not in ("schema", "other bounds"):
            kept = document["picks"]["bits"]
            consistent(document)
            document["picks"]["bits"] = kept if kept == 1 else document["picks"]["bits"]

    path = forge(certificate, both, folder / "forged.json")
    assert caught(path, "risk", data=sample(), model=network()) == (level, check)


@pytest.mark.parametrize("where", ["bound", "also"])
def test_a_value_below_what_the_theorem_gives_is_refused(certificate: Certificate, folder: Path, where: str) -> None:
    def lower(document: Document) -> None:
        found = [document["bound"]] if where == "bound" else document["also"]
        next(one for one in found if "picks" in one.get("theorem", ""))["value"] *= 0.999
        restate(document)

    check = "bound" if where == "bound" else "other bounds"
    assert caught(forge(certificate, lower, folder / "low.json")) == ("arithmetic", check)


def test_a_section_of_picks_belongs_to_nothing_else(certificate: Certificate, tmp_path: Path) -> None:
    section = certificate.document()["picks"]
    path = forge(honest(), lambda d: d.update(picks=section), tmp_path / "added.json")
    assert caught(path) == ("arithmetic", "schema")
    path = forge(honest(), lambda d: d["bound"].update(theorem="picks"), tmp_path / "named.json")
    assert caught(path) == ("arithmetic", "theorem")


def test_a_network_made_from_picks_is_no_surrogate_whose_code_is_short(
    certificate: Certificate, tmp_path: Path
) -> None:
    """Its ledger has the bits of a recipe: occam would take a network that learned the labels by heart for simple."""
    composed = certified(save_original(tmp_path))
    spec, section = certificate.document()["hypothesis"], certificate.document()["picks"]

    def graft(document: Document) -> None:
        base = document["hypothesis"]["base"]
        document["hypothesis"] = {**copy.deepcopy(spec), "model": document["hypothesis"]["model"], "base": base}
        document["picks"] = copy.deepcopy(section)
        document["risk"]["errors"] = section["errors"]
        repack(document)
        document["ledger"] = [e for e in document["ledger"] if e["item"] != "looks"] + [
            e for e in composed.document()["ledger"] if e["item"] in ("split of delta", "looks")
        ]
        recompute(document)  # by occam, as for a network that is coded

    result = verify(forge(composed, graft, tmp_path / "grafted.json"), level="arithmetic")
    assert (result.failed, "the surrogate has" in str(result.reason)) == ("bound", True), result.reason


# ---------------------------------------------------------------- the file of the network


def name_file(raw: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}


def put(folder: Path, raw: bytes) -> dict[str, Any]:
    named = name_file(raw)
    (folder / f"{named['sha256'][:16]}.safetensors").write_bytes(raw)
    return named


def foreign(certificate: Certificate, **changes: np.ndarray) -> bytes:
    tensors = safetensors.numpy.load(certificate.beside())
    return safetensors.numpy.save({**tensors, **changes})


def test_a_foreign_file_under_the_old_name_is_refused(certificate: Certificate, folder: Path) -> None:
    spec = certificate.hypothesis.quantizer
    assert isinstance(spec, PicksSpec)
    file = folder / spec.file
    file.write_bytes(freeze_network(network(5)))
    assert caught(folder / "honest.json") == ("message", "picks")
    file.unlink()
    assert caught(folder / "honest.json") == ("message", "picks")
    (folder / "elsewhere").write_bytes(certificate.beside())
    file.symlink_to(folder / "elsewhere")
    assert caught(folder / "honest.json") == ("message", "picks")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"0.bias": np.full(8, np.nan, np.float32)}, "errors"),
        ({"2.bias": np.array([9, 0, 0], np.float32)}, "errors"),
        ({"0.bias": np.zeros(9, np.float32)}, "network"),
        ({"0.bias": np.zeros(8, np.float64)}, "network"),
        ({"more": np.zeros(8, np.float32)}, "network"),
    ],
)
def test_a_foreign_file_that_is_named_errs_more_or_does_not_fit(
    certificate: Certificate, folder: Path, changes: dict[str, np.ndarray], check: str
) -> None:
    named = put(folder, foreign(certificate, **changes))
    path = forge(certificate, lambda d: (repack(d, **named), consistent(d)), folder / "foreign.json")
    assert caught(path, "risk", data=sample(), model=network()) == ("risk", check)


# ---------------------------------------------------------------- seen by running the selection again alone


def learned_by_heart(certificate: Certificate) -> bytes:
    """A network that saw the whole sample and errs less than the honest one."""
    import torch

    x, y = sample()
    module = network()
    adam = torch.optim.Adam(module.parameters(), 0.1)
    for _ in range(60):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        adam.step()
    assert int((module(x).argmax(1) != y).sum()) < part_of(certificate).errors
    return freeze_network(module)


def unseen(certificate: Certificate, folder: Path, name: str) -> Path:
    """A forgery with honest counts, so that no level below replay can see it."""

    def edit(document: Document) -> None:
        picked = order_of(certificate)
        if name == "T in another order":
            list_picks(document, picked[::-1])
        elif name == "T of another sample":
            list_picks(document, sorted(set(range(N)) - set(picked))[: len(picked)])
        elif name == "another recipe":
            repack(document, steps=50)
        elif name == "another seed":
            repack(document, seed=1)
        elif name == "an earlier size with the later network":
            stop = document["hypothesis"]["quantizer"]["stop"] - 1
            recipe = certificate.hypothesis.quantizer.recipe  # type: ignore[union-attr]
            list_picks(document, picked[: sizes(recipe, N)[stop]])
            repack(document, stop=stop)
        elif name == "stopped at the end":
            repack(document, stop=63)
        elif name == "a network learned by heart":
            repack(document, **put(folder, learned_by_heart(certificate)))
        elif name == "the same network in other bytes":
            tensors = safetensors.numpy.load(certificate.beside())
            repack(document, **put(folder, safetensors.numpy.save(tensors, {"made": "elsewhere"})))
        if name not in ("a network learned by heart",):
            recount(certificate, document)
        consistent(document)

    return forge(certificate, edit, folder / "unseen.json")


UNSEEN = (
    "T in another order", "T of another sample", "another recipe", "another seed", "stopped at the end",
    "an earlier size with the later network", "a network learned by heart", "the same network in other bytes",
)  # fmt: skip


@pytest.mark.parametrize("name", UNSEEN)
def test_what_only_replay_can_see_is_not_reproduced(certificate: Certificate, folder: Path, name: str) -> None:
    path = unseen(certificate, folder, name)
    risk = verify(path, data=sample(), model=network())
    assert risk.stands, f"this should be seen at level {risk.level} already: {risk.reason}"
    result = verify(path, data=sample(), model=network(), level="replay")
    assert (result.failed, result.stands) == (None, False)
    assert result.replay is not None
    assert not result.replay.reproduced
    if name in ("T in another order", "a network learned by heart", "the same network in other bytes"):
        part = part_of(certificate)  # what is made here is the honest network, with its own bound
        assert (result.replay.picked, result.replay.errors) == (part.picked, part.errors)
        assert result.replay.value == certificate.bound.value


def test_rounds_other_than_those_stated_are_refused_by_replay(certificate: Certificate, folder: Path) -> None:
    def edit(document: Document) -> None:
        document["picks"]["rounds"][0]["wrong"] = 0

    path = forge(certificate, edit, folder / "rounds.json")
    assert verify(path, data=sample(), model=network()).stands
    result = verify(path, data=sample(), model=network(), level="replay")
    assert (result.failed, result.stands) == ("rounds", False)


# ---------------------------------------------------------------- exit codes


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Path]:
    request = Request.model_validate({**QUICK, "model": "h8-R-L", "pick_first": 32, "max_picks": 32})
    certificate = certify(request=request, progress=False)
    folder = tmp_path_factory.mktemp("digits")
    certificate.save(folder / "honest.json")
    return certificate, folder


def run(path: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", str(path), "--level", "replay", *arguments])
    return done.exit_code, " ".join(done.stdout.split())


def test_replay_ends_with_0_where_it_stands_3_where_it_is_not_reproduced_and_1_where_it_fails(
    digits: tuple[Certificate, Path],
) -> None:
    certificate, folder = digits
    code, said = run(folder / "honest.json")
    assert (code, "made the same picks and the same network, bit for bit" in said) == (0, True)
    raw = foreign(certificate)
    named = put(folder, safetensors.numpy.save(safetensors.numpy.load(raw), {"made": "elsewhere"}))
    quantizer = {**certificate.document()["hypothesis"]["quantizer"], **named}
    other = forge(certificate, lambda d: d["hypothesis"].update(quantizer=quantizer), folder / "other.json")
    code, said = run(other)
    assert (code, "NOT REPRODUCED here" in said, "says nothing about the network in the file" in said) == (
        3,
        True,
        True,
    )
    wrong = forge(certificate, lambda d: (one_error_less(d), consistent(d)), folder / "wrong.json")
    code, said = run(wrong, "--json")
    assert (code, json.loads(said)["failed"], json.loads(said)["replay"]) == (1, "errors", None)

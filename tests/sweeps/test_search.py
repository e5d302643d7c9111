"""The search for a network: proposals that the grammar reads, rounds that go on, and an end that verifies."""

from pathlib import Path

import numpy as np
import pytest

import pacbound as pb
from pacbound.errors import RequestError, StateError
from pacbound.models.reference import build
from pacbound.pipeline import encoding
from pacbound.request.request import Request
from pacbound.specs.grammar import canonical_name
from pacbound.sweeps import driver, search
from pacbound.sweeps.proposals import beginnings, children
from tests.sweeps.test_driver import InThisProcess
from tests.tiny import FEATURES, save_clouds

REQUEST = Request(data="clouds.npz", encoder="plain", d=8, batch=60, rate=0.05)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clouds.npz, few and short rounds, and runs in this process, which take as long as is said here."""
    save_clouds(tmp_path, 120)
    monkeypatch.setattr(encoding, "seconds_an_epoch", lambda *_: 0.009)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "ROUNDS", ((2, 1), (2, 1), (1, 2)))
    monkeypatch.setattr(search, "LAST", 3)
    monkeypatch.setattr(driver, "executor_of", lambda folder, where, minutes: InThisProcess(folder))
    return tmp_path


@pytest.mark.parametrize("shape", [(FEATURES,), (8, 8), (28, 28), (3, 32, 32)])
def test_proposals_are_new_networks_that_read_the_examples(shape: tuple[int, ...]) -> None:
    first = beginnings(shape, 10, 8)
    assert len(set(first)) == len(first) >= 6
    made = children(first[:3], {*first}, shape, 10, 20, np.random.default_rng(0))
    assert len(set(made)) == 20
    assert not {*made} & {*first}
    for name in [*first, *made]:
        assert canonical_name(name) == name
        build(name, shape, 10)  # raises where it reads no such examples
    assert children(first[:3], {*first}, shape, 10, 20, np.random.default_rng(0)) == made


@pytest.mark.parametrize(
    ("shape", "usual"),
    [
        ((8, 8), "c16k3-R-A2-L"), ((1, 16, 16), "edges2-c12k3-R-A2-L"), ((28, 28), "bars2-c8k5-R-A4s3-L"),
        ((3, 32, 32), "flip-bars2-c12k3p1-R-A3-c32k3p1-R-A3-L"),
    ],
)  # fmt: skip
def test_a_search_begins_with_what_auto_would_take(shape: tuple[int, ...], usual: str) -> None:
    first = beginnings(shape, 10, 8)
    assert first[0] == usual
    assert len(set(first)) == len(first) == 8


def test_a_search_on_rows_begins_small_and_comes_to_what_auto_would_take() -> None:
    first = beginnings((13,), 10, 8)
    assert first[0] == "L"
    assert canonical_name("mlp") in first


def test_children_differ_from_their_parents_in_every_way_that_is_offered() -> None:
    parent = ["c4k5-R-A3-c12k5-R-A3-L"]
    made = children(parent, parent, (28, 28), 10, 200, np.random.default_rng(1))
    for part in ("flip-", "moments-", "edges3-", "bars1-", "bars2-", "silu", "M2", "k3", "p2", "h32", "c24k5", "c6k5"):
        assert any(part in name for name in made), part
    assert any(name.count("c") < 2 for name in made)


def test_edges_take_the_place_of_bars_and_bars_have_their_other_form() -> None:
    parent = ["bars2-c8k5-R-A4s3-L"]
    made = children(parent, parent, (28, 28), 10, 200, np.random.default_rng(1))
    for start in ("edges1-", "edges2-", "edges3-", "edges4-", "bars1-", "c"):
        assert any(name.startswith(start) for name in made), start


def test_a_search_ends_in_the_best_of_its_certificates_which_pays_for_its_string_alone(here: Path) -> None:
    found = search.search(REQUEST, here / "s", minutes=0.02, progress=False)
    bounds = [line.bound for line in found.tried]
    assert len(bounds) == 6
    assert bounds == sorted(bound for bound in bounds if bound is not None)
    made = pb.Certificate.load(here / "s" / "best.json")
    assert found.best is not None
    assert (made.bound.value, made.core_digest) == (bounds[0], found.best.core_digest)
    assert made.core_digest == pb.Certificate.load(here / "s" / str(found.best.file)).core_digest
    assert pb.verify(made, data=here / "clouds.npz").require().level == "risk"
    assert {entry.item: entry.bits for entry in made.entries}["sweep"] == 0
    alone = [entry.bits for entry in made.entries if entry.item == "model"]
    quick = REQUEST.model_copy(update={"epochs": 3})
    grammar = pb.certify(made.hypothesis.model, "clouds.npz", request=quick, progress=False)
    assert alone == [entry.bits for entry in grammar.entries if entry.item == "model"]


def test_a_search_that_broke_off_goes_on_with_what_it_has(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[InThisProcess] = []

    def breaking(folder: driver.Folder, where: str, minutes: int) -> InThisProcess:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(InThisProcess(folder))
        return made[-1]

    monkeypatch.setattr(driver, "executor_of", breaking)
    with pytest.raises(KeyboardInterrupt):
        search.search(REQUEST, here / "s", minutes=0.02, progress=False)
    before = {path: path.read_bytes() for path in (here / "s" / "round-1" / "certificates").iterdir()}
    assert len(before) == 2
    monkeypatch.setattr(driver, "executor_of", lambda folder, where, minutes: InThisProcess(folder))
    found = search.search(REQUEST, here / "s", minutes=0.02, progress=False)
    assert len(found.tried) == 6
    assert before == {path: path.read_bytes() for path in before}
    with pytest.raises(StateError, match="another search"):
        search.search(REQUEST, here / "s", minutes=0.03, progress=False)


def test_what_the_search_chooses_itself_is_refused_and_so_is_no_time(here: Path) -> None:
    with pytest.raises(RequestError, match="chooses model"):
        search.search(REQUEST.model_copy(update={"model": "mlp"}), here / "s", minutes=1, progress=False)
    with pytest.raises(RequestError, match="positive"):
        search.search(REQUEST, here / "s", minutes=0, progress=False)
    with pytest.raises(RequestError, match="no network has a certificate within its share"):
        search.search(REQUEST, here / "s", minutes=1e-6, progress=False)

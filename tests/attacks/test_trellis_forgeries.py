"""Forged trellises: another state rule, symbols beyond the alphabet, fields that the message does not carry."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pacbound.bits import trellis
from pacbound.bits.message import pack
from pacbound.certificate import Certificate
from pacbound.errors import CodeError
from pacbound.specs.specs import PROFILE_CODE, HypothesisSpec, TrellisSpec
from tests.forge import Document, caught, forge, honest_of, spec_of

COUNT = 64
SPEC = TrellisSpec(scale_index=68, kap=44, c0=29, c1=4, c2=1)


def _hypothesis() -> HypothesisSpec:
    fields = spec_of(COUNT).model_dump() | {"quantizer": SPEC.model_dump(), "code": PROFILE_CODE.model_dump()}
    return HypothesisSpec.model_validate(fields)


def _symbols(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(20, 1.2, COUNT).round().astype(np.int32)


@contextmanager
def _instead(**wrong: object) -> Iterator[None]:
    """What a forger's own coder would do."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in wrong.items():
            patch.setattr(trellis, name, value)
        yield


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return honest_of(_hypothesis(), _symbols())


def test_the_honest_trellis_stands(certificate: Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "honest.json")
    assert caught(tmp_path / "honest.json") is None


@pytest.mark.parametrize("rule", [((0, 0),) * 4, ((0, 2), (2, 0), (3, 1), (1, 3)), ((2, 0), (0, 2), (1, 3), (3, 1))])
def test_a_message_under_another_state_rule_is_refused(rule: tuple[tuple[int, int], ...], tmp_path: Path) -> None:
    def halves(integers: np.ndarray) -> np.ndarray:
        """h_i of integers k (d,) by the rule."""
        states = [0]
        for k in integers.tolist():
            states.append(rule[states[-1]][k & 1])
        return np.array(states[:-1]) >> 1

    with _instead(NEXT=rule, halves=halves):
        forged = honest_of(_hypothesis(), _symbols())
    forged.save(tmp_path / "forged.json")
    assert caught(tmp_path / "forged.json") in (("message", "decode"), ("message", "ledger"), ("message", "sums"))


def test_symbols_beyond_the_alphabet_are_neither_sent_nor_read(tmp_path: Path) -> None:
    beyond = _symbols()
    beyond[5] = 42
    with pytest.raises(CodeError, match="outside"):
        pack(_hypothesis(), beyond)
    wide = np.full((2, COUNT, 64), (1 << 24) // 64)
    with _instead(trellis_tables=lambda *_: wide):
        forged = honest_of(_hypothesis(), beyond)
    forged.save(tmp_path / "forged.json")
    found = caught(tmp_path / "forged.json")
    assert found is not None
    assert found[0] == "message"


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("scale_index", 256, ("arithmetic", "schema")),
        ("scale_index", -129, ("arithmetic", "schema")),
        ("kap", 65, ("arithmetic", "schema")),
        ("scale_index", 69, ("message", "hypothesis")),
        ("c0", 30, ("message", "hypothesis")),
        ("kind", "profile", ("message", "hypothesis")),
        ("kind", "lattice", ("arithmetic", "schema")),
    ],
)
def test_fields_other_than_those_of_the_message_are_refused(
    certificate: Certificate, field: str, value: object, found: tuple[str, str], tmp_path: Path
) -> None:
    def edit(document: Document) -> None:
        document["hypothesis"]["quantizer"][field] = value

    assert caught(forge(certificate, edit, tmp_path / "forged.json")) == found

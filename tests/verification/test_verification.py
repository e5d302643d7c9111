from pathlib import Path

import pytest

from pacbound.errors import RequestError, VerificationError
from pacbound.networks.risk import LOSSES
from pacbound.specs.specs import REFERENCE_MODELS
from pacbound.verification.recount import EMBEDDED_DATA, KNOWN_FRACTIONAL
from pacbound.verification.verification import verify
from tests.forge import honest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    honest().save(tmp_path / "a.json")
    return tmp_path / "a.json"


def test_the_default_level_is_the_highest_that_needs_nothing_from_the_caller(path: Path) -> None:
    result = verify(path)
    assert (result.level, result.stands, result.name) == ("message", True, "a.json")


def test_a_record_is_verified_like_its_file(path: Path) -> None:
    assert verify(honest()).passed == verify(path).passed


def test_each_level_names_what_it_left_unchecked(path: Path) -> None:
    low, high = verify(path, level="arithmetic"), verify(path, level="message")
    assert set(high.unchecked) < set(low.unchecked)
    assert any("level message" in sentence for sentence in low.unchecked)
    assert any("900 errors" in sentence for sentence in high.unchecked)
    assert any("not authorship" in sentence for sentence in high.unchecked)
    assert any("independent draws" in sentence for sentence in high.unchecked)
    assert any(honest().declarations[0] in sentence for sentence in high.unchecked)


def test_require_passes_what_stands_and_raises_the_name_of_the_check(path: Path) -> None:
    assert verify(path).require().stands
    path.write_text(path.read_text().replace("numpy", "scipy"))
    with pytest.raises(VerificationError, match=r"a\.json: check 'digest' failed"):
        verify(path).require()


def test_a_missing_file_is_the_callers_mistake_and_not_a_verdict(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no file"):
        verify(tmp_path / "none.json")


def test_level_risk_without_data_says_what_to_give(path: Path) -> None:
    with pytest.raises(RequestError, match="--data"):
        verify(path, level="risk")


def test_a_loss_of_the_callers_own_cannot_be_counted_again_here(tmp_path: Path) -> None:
    honest(errors=1.5, loss="custom").save(tmp_path / "a.json")
    assert verify(tmp_path / "a.json").level == "message"
    with pytest.raises(RequestError, match="'custom'"):
        verify(tmp_path / "a.json", level="risk", data="digits")


def test_the_tables_that_decide_the_level_are_those_of_the_package() -> None:
    from pacbound.data.registry import DATA_SETS

    assert {"zero_one", KNOWN_FRACTIONAL} == set(LOSSES)
    assert set(EMBEDDED_DATA) <= set(DATA_SETS)
    assert "user" not in REFERENCE_MODELS


def test_the_record_says_in_json_whether_the_certificate_stands(path: Path) -> None:
    assert verify(path).model_dump(mode="json")["stands"] is True

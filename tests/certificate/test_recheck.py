import pytest

from pacbound.bounds.table import THEOREMS
from pacbound.certificate.recheck import HEADLINE_THEOREMS, recheck_arithmetic, recheck_message
from tests.forge import honest, spec_of, symbols_of


def test_an_honest_certificate_passes_every_check_by_name() -> None:
    names = [finding.check for finding in recheck_arithmetic(honest())]
    assert names == [
        "digest", "sums", "sample", "theorem", "sweep", "bound", "statement", "declarations", "other bounds"
    ]  # fmt: skip
    findings, decoded = recheck_message(honest())
    assert [finding.check for finding in findings] == ["payload", "decode", "hypothesis", "ledger"]
    assert decoded is not None
    assert decoded.symbols.tolist() == symbols_of(64).tolist()
    assert decoded.spec == spec_of(64)


def test_checking_stops_at_the_first_complaint() -> None:
    broken = honest().model_copy(update={"digest": "0" * 64, "statement": "better"})
    findings = recheck_arithmetic(broken)
    assert [finding.check for finding in findings] == ["digest"]
    assert findings[0].complaint


@pytest.mark.parametrize("errors", [0, 1, 900, 30000, 60000])
@pytest.mark.parametrize("bits", [0, 1, 3000, 100000])
def test_no_headline_theorem_beats_the_default_so_naming_one_afterwards_gains_nothing(errors: int, bits: int) -> None:
    values = {name: THEOREMS[name](errors, 60000, bits, 0.05).value for name in HEADLINE_THEOREMS}
    assert min(values.values()) == values["occam_binomial"]
    del values["occam_binomial"]  # other losses
    assert min(values.values()) == values["occam_kl"]


def test_a_loss_that_is_no_count_passes_with_its_own_theorem() -> None:
    certificate = honest(errors=900.125, loss="error_probability")
    assert all(finding.complaint is None for finding in recheck_arithmetic(certificate))


def test_what_was_tuned_on_a_data_set_is_paid_for_where_it_is_altered() -> None:
    for name, bits in (("digits.rotated_3", 8), ("digits", 8), ("digits-rotated", 0), ("mine.digits", 0)):
        paid = [entry.bits for entry in honest(name=name).entries if entry.item == "package defaults"]
        assert sum(paid) == bits

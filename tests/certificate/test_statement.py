import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacbound.bounds.claims import Bound, RiskEstimate
from pacbound.certificate.statement import confidence, guessing_risk, percent_up, rate_up, vacuous, write_statement
from tests.forge import honest


def bound(value: float, delta: float = 0.05) -> Bound:
    return Bound(value=value, theorem="occam_binomial", reference="", delta=delta)


@given(st.floats(0, 1))
def test_printed_risks_are_never_below_the_number_and_less_than_one_step_above(risk: float) -> None:
    printed = Fraction(percent_up(risk).removesuffix(" %")) / 100
    assert Fraction(risk) <= printed < Fraction(risk) + Fraction(1, 10_000)
    assert Fraction(risk) <= Fraction(rate_up(risk)) < Fraction(risk) + Fraction(1, 10_000)


@given(st.floats(1e-12, 0.999999))
def test_printed_confidence_is_never_above_what_was_asked_for(delta: float) -> None:
    printed = Fraction(confidence(delta).removesuffix(" %")) / 100
    assert printed <= 1 - Fraction(repr(delta))
    assert printed > 1 - Fraction(repr(delta)) - Fraction(1, 10**8)


def test_the_sentence_is_the_one_that_the_readme_promises() -> None:
    assert write_statement(bound(0.09571), RiskEstimate(errors=900, n=60000), 10) == (
        "With probability at least 95 % over the draw of n = 60,000 training examples, the error of the decoded "
        "network on new data from the same source is at most 9.58 %."
    )


@pytest.mark.parametrize(
    ("loss", "value", "classes", "expected"),
    [
        ("zero_one", 0.9, 10, True),
        ("zero_one", 0.8999, 10, False),
        ("zero_one", 0.5, 2, True),
        ("top_5", 0.5, 10, True),
        ("top_5", 0.4999, 10, False),
        ("top_5", 0.0, 3, True),
        ("error_probability", 0.9, 10, True),
        ("error_probability", 0.8999, 10, False),
        ("square", 0.99, 10, False),
        ("square", 1.0, 10, True),
    ],
)
def test_a_bound_that_a_guess_would_meet_is_called_vacuous(
    loss: str, value: float, classes: int, expected: bool
) -> None:
    assert vacuous(bound(value), loss, classes) is expected
    sentence = write_statement(bound(value), RiskEstimate(errors=0, n=10, loss=loss), classes)
    assert ("no better than guessing" in sentence) is expected


def test_guessing_k_of_the_classes_is_right_in_k_of_them() -> None:
    assert guessing_risk("top_3", 4) == 0.25


def test_another_loss_is_named_and_not_called_an_error() -> None:
    sentence = write_statement(bound(0.25), RiskEstimate(errors=0.5, n=10, loss="square"), 10)
    assert "the mean square loss of" in sentence
    assert sentence.endswith("at most 0.2500.")


@pytest.mark.parametrize("value", [0.1234561, 0.5000004, 1e-9])
def test_one_line_of_a_certificate_does_not_round_its_bound_down(value: float) -> None:
    certificate = honest()
    stated = certificate.stated_bound.model_copy(update={"value": value, "delta": 0.05000001})
    line = repr(certificate.model_copy(update={"stated_bound": stated}))
    found = re.search(r"risk <= ([0-9.]+) by \w+, delta ([0-9.]+);", line)
    assert found is not None
    shown, delta = found.groups()
    assert value <= float(shown) < value + 1e-6
    assert float(delta) == 0.05000001

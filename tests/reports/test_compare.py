import json

import pytest

from pacbound.bounds.claims import Measure
from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate
from pacbound.errors import CertificateError
from pacbound.reports.compare import compare, render, render_json
from tests.forge import honest


def with_measures(certificate: Certificate, **values: float) -> Certificate:
    measures = tuple(
        Measure(name=f"redundancy_{name}", value=value, unit="ratio", reference="", verified=name != "vbmf")
        for name, value in values.items()
    )
    return certificate.model_copy(update={"measures": measures})


def at_delta(certificate: Certificate, delta: float) -> Certificate:
    bound = theorem("occam_binomial")(certificate.risk.errors, certificate.risk.n, certificate.ledger.bits, delta)
    stated = certificate.stated_bound.model_copy(update={"delta": delta, "value": bound.value})
    return certificate.model_copy(update={"stated_bound": stated})


def column(text: str, name: str) -> list[str]:
    """Cells under a heading, by position."""
    lines = text.split("\n\n")[1].splitlines()
    end = lines[0].index(name) + len(name)
    start = lines[0].rindex("  ", 0, end - len(name)) if "  " in lines[0][: end - len(name)] else 0
    return [line[start:end].split()[-1] if line[start:end].split() else "" for line in lines[1:]]


def test_every_figure_of_a_row_is_that_of_the_certificate() -> None:
    small, large = honest(), honest(count=100, errors=600)
    rows = compare([("small", small), ("large", large)]).rows
    for row, certificate in zip(rows, (small, large), strict=True):
        document = json.loads(certificate.to_json())
        bits = sum(entry["bits"] for entry in document["ledger"])
        assert (row.bound, row.bits) == (document["bound"]["value"], bits)
        assert row.error == document["risk"]["errors"] / document["risk"]["n"]
        assert (row.d, row.D) == (document["hypothesis"]["projector"]["d"], document["hypothesis"]["projector"]["D"])
        assert row.bits_per_parameter == bits / document["hypothesis"]["projector"]["D"]
        assert (row.model, row.prior) == ("lenet", f"seeded {document['hypothesis']['base']['seed']}")
        assert row.warning == ""


def test_text_has_a_line_for_each_certificate_in_the_order_given() -> None:
    text = render(compare([("b", honest()), ("a", honest(count=100, errors=600))]))
    lines = text.split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["certificate", "b", "a"]
    assert lines[0].split() == ["certificate", "bound", "error", "bits", "bits/parameter", "d", "model", "prior"]
    assert column(text, " d") == ["64", "100"]
    assert column(text, " bits") == [f"{honest().ledger.bits:,}", f"{honest(count=100, errors=600).ledger.bits:,}"]


def test_printed_risks_are_rounded_up_and_exact_rates_stay() -> None:
    text = render(compare([("a", honest(errors=600))]))  # 600 of 60,000
    assert "1 %" in text
    assert "1.01 %" not in text
    bound = float(text.split("\n\n")[1].splitlines()[1].split()[1])
    assert bound >= 100 * honest(errors=600).bound.value


def test_measures_are_columns_and_a_missing_one_stays_empty() -> None:
    first = with_measures(honest(), k_over_r=4.0, vbmf=1.2345678)
    second = with_measures(honest(count=100), k_over_r=0.16666667)
    text = render(compare([("first", first), ("second", second)]))
    head, units, one, two = text.split("\n\n")[1].splitlines()
    assert head.split()[-2:] == ["redundancy_k_over_r", "redundancy_vbmf"]
    assert units.split() == ["ratio", "ratio,", "unverified"]
    assert one.split()[-2:] == ["4", "1.235"]
    assert two.split()[-1] == "0.1667"
    document = json.loads(render_json(compare([("first", first), ("second", second)])))
    assert document["rows"][0]["measures"] == {"redundancy_k_over_r": 4.0, "redundancy_vbmf": 1.2345678}


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (honest(name="digits", digest="b" * 64), "other data: digits (60,000 examples, sha256 bbbbbbbb), not mnist"),
        (honest(n=50000), None),
        (honest(loss="top_5"), "another loss: top_5, not zero_one"),
        (at_delta(honest(), 0.01), "another delta: 0.01, not 0.05"),
    ],
)
def test_what_is_about_something_else_is_set_apart_with_the_reason(other: Certificate, reason: str | None) -> None:
    comparison = compare([("other", other), ("a", honest()), ("b", honest(count=100))])
    if reason is None:  # the digest stands for the sample
        assert [row.name for row in comparison.rows] == ["other", "a", "b"]
        return
    assert [row.name for row in comparison.rows] == ["a", "b"]
    assert [apart.row.name for apart in comparison.apart] == ["other"]
    assert comparison.apart[0].reason.startswith(reason)
    text = render(comparison)
    assert text.index("Not comparable") < text.index("other ") < text.index(reason)


def test_every_difference_is_named_and_the_larger_group_makes_the_table() -> None:
    far = at_delta(honest(name="digits", digest="c" * 64), 0.01)
    comparison = compare([("far", far), ("a", honest()), ("b", honest(count=100))])
    assert comparison.apart[0].reason.split("; ")[1:] == ["another delta: 0.01, not 0.05"]
    tie = compare([("far", far), ("a", honest())])
    assert [row.name for row in tie.rows] == ["far"]


def test_json_holds_all_that_the_text_shows() -> None:
    document = json.loads(render_json(compare([("far", at_delta(honest(), 0.01)), ("a", honest()), ("b", honest(4))])))
    assert [row["name"] for row in document["rows"]] == ["a", "b"]
    assert document["apart"][0]["reason"] == "another delta: 0.01, not 0.05"
    assert document["rows"][0]["bits_per_parameter"] == document["rows"][0]["bits"] / document["rows"][0]["D"]
    assert (document["loss"], document["delta"]) == ("zero_one", 0.05)


def test_a_certificate_whose_arithmetic_fails_is_shown_with_a_warning() -> None:
    stated = honest().stated_bound.model_copy(update={"value": 0.001})
    forged = honest().model_copy(update={"stated_bound": stated})
    comparison = compare([("good", honest()), ("forged", forged)])
    assert [bool(row.warning) for row in comparison.rows] == [False, True]
    assert "WARNING. forged does not stand" in render(comparison)


def test_a_network_without_a_subspace_has_no_bits_per_parameter() -> None:
    spec = honest().hypothesis.model_copy(update={"projector": None})
    (row,) = compare([("zero", honest().model_copy(update={"hypothesis": spec}))]).rows
    assert (row.d, row.D, row.bits_per_parameter) == (0, None, None)


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_nothing_and_doubled_names_are_refused(names: list[str]) -> None:
    with pytest.raises(CertificateError, match="each under its own name"):
        compare([(name, honest()) for name in names])

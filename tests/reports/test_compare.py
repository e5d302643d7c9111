import json

import pytest

from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate
from pacbound.errors import CertificateError
from pacbound.reports.compare import compare, describe_model
from tests.forge import digest_of, honest, make_consistent
from tests.reports.picks_cases import picked


def at_delta(certificate: Certificate, delta: float) -> Certificate:
    """The same run stated at another delta."""
    document = certificate.document()
    document["bound"]["delta"] = delta
    for other in document["also"]:
        if other["kind"] == "bound":
            other["delta"] = delta
            other["value"] = theorem(other["theorem"])(other["errors"], other["n"], other["bits"], delta).value
    make_consistent(document)
    document["digest"] = digest_of(document)
    return Certificate.from_json(json.dumps(document).encode())


def forged() -> Certificate:
    """States less than its theorem gives, and was digested again."""
    stated = honest().stated_bound.model_copy(update={"value": 0.001})
    broken = honest().model_copy(update={"stated_bound": stated})
    return broken.model_copy(update={"digest": broken.expected_digest()})


def test_every_figure_of_a_row_is_that_of_the_certificate() -> None:
    small, large = honest(), honest(count=100, errors=600)
    rows = {row.name: row for row in compare([("small", small), ("large", large)]).rows}
    for name, certificate in (("small", small), ("large", large)):
        row, document = rows[name], json.loads(certificate.to_json())
        bits = sum(entry["bits"] for entry in document["ledger"])
        assert (row.bound, row.bits) == (document["bound"]["value"], bits)
        assert row.error == document["risk"]["errors"] / document["risk"]["n"]
        assert (row.d, row.D) == (document["hypothesis"]["projector"]["d"], document["hypothesis"]["projector"]["D"])
        assert row.bits_per_parameter == bits / document["hypothesis"]["projector"]["D"]
        assert (row.model, row.prior) == ("lenet", f"seeded {document['hypothesis']['base']['seed']}")


def test_the_smallest_bound_stands_first_and_differences_are_to_it() -> None:
    runs = [(f"r{errors}", honest(errors=errors)) for errors in (900, 600, 1200, 700)]
    comparison = compare(runs)
    assert [row.name for row in comparison.rows] == ["r600", "r700", "r900", "r1200"]
    assert comparison.first == "r600"
    values = {name: one.stated_bound.value for name, one in runs}
    assert [row.difference for row in comparison.rows] == [values[row.name] - values["r600"] for row in comparison.rows]


def test_differences_are_to_the_one_that_is_named() -> None:
    runs = [(f"r{errors}", honest(errors=errors)) for errors in (900, 600, 1200)]
    comparison = compare(runs, first="r900")
    assert [row.name for row in comparison.rows] == ["r600", "r900", "r1200"]
    signs = [(row.difference > 0) - (row.difference < 0) for row in comparison.rows]
    assert signs == [-1, 0, 1]


@pytest.mark.parametrize(("first", "why"), [("none", "not among"), ("forged", "it does not stand: bound")])
def test_differences_are_to_nothing_that_is_not_in_the_table(first: str, why: str) -> None:
    with pytest.raises(CertificateError, match=why):
        compare([("a", honest()), ("b", honest(errors=600)), ("forged", forged())], first=first)


def test_the_named_first_decides_what_is_compared() -> None:
    far = honest(name="digits", digest="c" * 64)
    comparison = compare([("a", honest()), ("b", honest(errors=600)), ("far", far)], first="far")
    assert [row.name for row in comparison.rows] == ["far"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (honest(name="digits", digest="b" * 64), "other data: digits (60,000 examples, sha256 bbbbbbbb), not mnist"),
        (honest(loss="top_5"), "another loss: top_5, not zero_one"),
        (at_delta(honest(), 0.01), "another delta: 0.01, not 0.05"),
    ],
)
def test_what_is_about_something_else_is_set_apart_with_the_reason(other: Certificate, reason: str) -> None:
    comparison = compare([("other", other), ("a", honest()), ("b", honest(count=100))])
    assert {row.name for row in comparison.rows} == {"a", "b"}
    assert [apart.row.name for apart in comparison.apart] == ["other"]
    assert comparison.apart[0].reason.startswith(reason)
    assert comparison.apart[0].stands


def test_every_difference_is_named_and_the_larger_group_makes_the_table() -> None:
    far = at_delta(honest(name="digits", digest="c" * 64), 0.01)
    comparison = compare([("far", far), ("a", honest()), ("b", honest(count=100))])
    assert comparison.apart[0].reason.split("; ")[1:] == ["another delta: 0.01, not 0.05"]
    tie = compare([("far", far), ("a", honest())])
    assert [row.name for row in tie.rows] == ["far"]


def test_what_does_not_stand_is_in_no_ranking_though_it_states_the_smallest_bound() -> None:
    comparison = compare([("forged", forged()), ("good", honest()), ("other", honest(errors=600))])
    assert [row.name for row in comparison.rows] == ["other", "good"]
    (apart,) = comparison.apart
    assert not apart.stands
    assert apart.reason.startswith("it does not stand: bound: occam_binomial gives")
    assert all("forged" not in found.runs for found in comparison.groups)
    damaged = honest().model_copy(update={"digest": "0" * 64})
    assert "digest" in compare([("damaged", damaged), ("good", honest())]).apart[0].reason


def test_where_none_stands_there_is_no_comparison() -> None:
    with pytest.raises(CertificateError, match=r"none of 1 certificates stands; forged: it does not stand: bound"):
        compare([("forged", forged())])


def test_a_copy_is_counted_once_and_the_sample_decides_what_a_copy_is() -> None:
    comparison = compare([("a", honest()), ("copy", honest()), ("b", honest(errors=600))])
    assert {row.name for row in comparison.rows} == {"a", "b"}
    assert comparison.apart[0].reason == "the same statement about the same network as a"
    far = honest(digest="c" * 64)
    assert compare([("a", honest()), ("b", honest(errors=600)), ("far", far)]).apart[0].reason.startswith("other data")


def test_jointly_is_the_best_at_delta_over_the_number_of_rows() -> None:
    runs = [("a", honest(errors=600)), ("b", honest(errors=900)), ("c", honest(count=100, errors=900))]
    least = min(theorem("occam_binomial")(c.risk.errors, c.risk.n, c.ledger.bits, 0.05 / 3).value for _, c in runs)
    comparison = compare(runs)
    assert comparison.jointly == least
    assert comparison.jointly > comparison.rows[0].bound


def test_a_network_at_its_start_has_no_dimensions_and_weights_that_are_coded_have_none_to_state() -> None:
    spec = honest().hypothesis.model_copy(update={"projector": None, "quantizer": None, "code": None})
    zero = honest().model_copy(update={"hypothesis": spec})
    zero = zero.model_copy(update={"digest": zero.expected_digest()})
    (row,) = compare([("zero", zero)]).rows
    assert (row.d, row.D, row.bits_per_parameter) == (0, None, None)


def test_a_network_of_ones_own_is_told_by_the_digest_of_its_layout() -> None:
    spec = honest().hypothesis.model_copy(update={"model": "user", "layout_digest": "ab" * 32})
    assert describe_model(honest().model_copy(update={"hypothesis": spec})) == "own abababab"


def test_picks_are_ranked_with_codes_and_not_divided() -> None:
    comparison = compare([("picks", picked()), ("code", honest(errors=900))])
    assert [row.name for row in comparison.rows] == ["picks", "code"]
    row, code = comparison.rows
    part = picked().picks
    assert part is not None
    assert (row.picked, row.d, code.picked) == (part.picked, None, None)
    assert row.undivided == "by picks its bound is one of more than errors and bits"
    assert code.undivided == "its bound is by occam_binomial, not picks"
    assert comparison.jointly is None


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_nothing_and_doubled_names_are_refused(names: list[str]) -> None:
    with pytest.raises(CertificateError, match="each under its own name"):
        compare([(name, honest()) for name in names])

"""`pacbound measure` prints what the public function returns; refusals go to standard error with exit code 2."""

import json
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app, main
from typer.testing import CliRunner

from pacbound.certificate import Certificate
from pacbound.measures.measuring import measure
from tests.measures.test_measuring import certificate_of
from tests.tiny import clouds, network

MODEL = "tests.tiny:network"
SHAPE = ["--input-shape", "6"]
FAST = ["--measures", "stable_rank,covering"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    return tmp_path / "a.pt"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    certificate_of(network())[0].save(tmp_path / "a.json")
    return tmp_path / "a.json"


def test_json_has_the_documented_keys_and_the_values_of_the_function(weights: Path) -> None:
    result = CliRunner().invoke(app, ["measure", str(weights), "--model", MODEL, *SHAPE, *FAST, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["model"] == MODEL
    assert set(document["measures"][0]) == {"name", "value", "unit", "per_layer", "reference", "verified"}
    expected = measure(network(), input_shape=(6,), measures=("stable_rank", "covering")).measures
    assert [one["value"] for one in document["measures"]] == [one.value for one in expected]
    assert json.loads(json.dumps(document)) == document


def test_the_table_has_a_line_for_each_measure_and_with_per_layer_for_each_layer(weights: Path) -> None:
    command = ["measure", str(weights), "--model", MODEL, *SHAPE, *FAST]
    brief = CliRunner().invoke(app, command).stdout
    long = CliRunner().invoke(app, [*command, "--per-layer"]).stdout
    found = measure(network(), input_shape=(6,), measures=("stable_rank", "covering")).measures
    assert all(brief.count(f" {one.name} ") == 1 for one in found)
    assert len(brief.splitlines()) == len(found) + 2
    assert len(long.splitlines()) == len(brief.splitlines()) + sum(len(one.per_layer) for one in found)
    assert "probability" in brief


def test_attach_writes_a_certificate_with_the_measures(certificate: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.json"
    result = CliRunner().invoke(
        app, ["measure", str(certificate), "--model", MODEL, *SHAPE, *FAST, "--attach", str(target)]
    )
    assert result.exit_code == 0, result.output
    written, before = Certificate.load(target), Certificate.load(certificate)
    assert [one.name for one in written.measures][:1] == ["stable_rank_reshaped"]
    assert before.measures == ()
    assert written.expected_digest() == written.digest != before.digest


def test_the_data_come_from_an_argument(weights: Path, tmp_path: Path) -> None:
    import numpy as np

    x, y = clouds()
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    command = ["measure", str(weights), "--model", MODEL, "--data", str(tmp_path / "data.npz"), "--json"]
    result = CliRunner().invoke(app, [*command, "--measures", "rademacher"])
    values = {one["name"]: one["value"] for one in json.loads(result.stdout)["measures"]}
    assert values["rademacher_data_norm"] == pytest.approx(float(x.norm()), rel=1e-6)


def test_a_measure_that_does_not_apply_is_said_on_standard_error(tmp_path: Path) -> None:
    from tests.measures.test_measuring import Recurrent

    torch.save(Recurrent().state_dict(), tmp_path / "a.pt")
    model = "tests.measures.test_measuring:Recurrent"
    command = ["measure", str(tmp_path / "a.pt"), "--model", model, "--input-shape", "5,3"]
    result = CliRunner().invoke(app, [*command, "--measures", "stable_rank,covering", "--json"])
    assert result.exit_code == 0, result.output
    assert "covering does not apply" in result.stderr
    assert list(json.loads(result.stdout)["refused"]) == ["covering"]
    assert list(json.loads(result.stdout)["skipped"])
    assert all(f"{name} is in no measure of layers" in result.stderr for name in json.loads(result.stdout)["skipped"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["{weights}"],
        ["{weights}", "--model", MODEL],
        ["{weights}", "--model", MODEL, "--input-shape", "6,x"],
        ["{weights}", "--model", MODEL, *SHAPE, "--measures", "kr"],
        ["{weights}", "--model", MODEL, *SHAPE, *FAST, "--attach", "b.json"],
        ["{weights}", "--model", "lenett", *SHAPE],
        ["none.pt", "--model", MODEL, *SHAPE],
    ],
)
def test_wrong_usage_prints_one_message_and_exits_with_2(
    weights: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pacbound", "measure", *(a.format(weights=weights) for a in arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert end.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("pacbound: ")
    assert len(printed.err.splitlines()) == 1


def test_bounds_are_printed_with_their_theorem_and_what_they_assume(weights: Path, tmp_path: Path) -> None:
    import numpy as np

    x, y = clouds()
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    command = ["measure", str(weights), "--model", MODEL, "--data", str(tmp_path / "data.npz"), *FAST, "--bounds"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (bound,) = measure(network(), data=clouds(), measures=("stable_rank",), bounds=True).bounds
    assert bound.value == 1
    assert "covering_risk: risk <= 1 (vacuous: it says nothing)" in result.stdout
    assert "delta 0.05" in result.stdout
    assert all(f"  assumes: {assumption}" in result.stdout for assumption in bound.assumes)
    assert "tucker_covering does not apply" in result.stderr
    document = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [one["theorem"] for one in document["bounds"]] == ["covering_risk"]

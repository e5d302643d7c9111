"""`pacbound train` writes a checkpoint and prints the curve that the public function returns."""

import json
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from safetensors.torch import load_file
from typer.testing import CliRunner

from pacbound.errors import RequestError
from pacbound.methods.plain_training import train

QUICK = ["--epochs", "2", "--rate", "0.05"]


def run(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, ["train", *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rank(weight: torch.Tensor) -> float:
    values = torch.linalg.svdvals(weight.double())
    return float(values.square().sum() / values[0] ** 2)


def test_a_start_of_a_stable_rank_is_in_the_file(tmp_path: Path) -> None:
    found = run(tmp_path / "a.safetensors", "--stable-rank", 7.5, "--epochs", 0)
    weights = [w for w in load_file(tmp_path / "a.safetensors").values() if w.ndim == 2]
    assert [rank(w) for w in weights] == pytest.approx([7.5, 7.5], rel=1e-4)
    assert [row["epoch"] for row in found["curve"]] == [0]


def test_layers_stay_in_their_balls_and_the_curve_ends_with_the_file(tmp_path: Path) -> None:
    options = ("--lipschitz", 1.0, "--distance", 5, *QUICK)
    found = run(tmp_path / "a.safetensors", *options)
    weights = {k.removesuffix(".weight"): w for k, w in load_file(tmp_path / "a.safetensors").items() if w.ndim == 2}
    assert all(float(torch.linalg.matrix_norm(w, 2)) <= 1.01 for w in weights.values())
    assert [row["epoch"] for row in found["curve"]] == [0, 1, 2]
    assert found["curve"][-1]["stable_rank"] == pytest.approx({k: rank(w) for k, w in weights.items()}, rel=1e-4)
    assert found["curve"][-1]["error"] < found["curve"][0]["error"]
    free = run(tmp_path / "b.safetensors", *QUICK)
    assert max(free["curve"][-1]["operator_norm"].values()) > 1.01


def test_the_table_names_every_layer(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["train", str(tmp_path / "a.safetensors"), "--epochs", "1"]).stdout
    assert shown.count("stable rank") == 2
    assert "no figure is a bound" in shown


@pytest.mark.parametrize("options", [{"epochs": -1}, {"output": "a.pt"}, {"lipschitz": -1.0}])
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        train("mlp", "digits", **{"output": tmp_path / "a.safetensors", "epochs": 1, **options})


def test_a_table_is_read_by_its_columns_and_standardised_as_for_certify(tmp_path: Path) -> None:
    rows = [f"{k % 3 * 900 + k},{k},{'abc'[k % 3]}" for k in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["large,small,kind", *rows]))
    (tmp_path / "c.json").write_text(json.dumps({"mean": [900, 15], "std": [700, 9]}))
    options = ("--data", tmp_path / "t.csv", "--label-column", "kind", "--standardise", tmp_path / "c.json")
    found = run(tmp_path / "a.safetensors", *options, "--model", "h8-R-L", *QUICK)
    assert (found["n"], len(found["curve"])) == (30, 3)
    result = CliRunner().invoke(app, ["train", str(tmp_path / "b.safetensors"), "--data", str(tmp_path / "t.csv")])
    assert "has a column 'label'" in str(result.exception)


def test_what_is_trained_on_resized_pictures_is_measured_on_them(tmp_path: Path) -> None:
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (24, 1, 4, 4), np.uint8)
    np.savez(tmp_path / "p.npz", x=pixels, y=np.arange(24) % 2)
    read = ("--data", str(tmp_path / "p.npz"), "--preprocess", "photo@6", "--model", "h8-R-L")
    run(tmp_path / "a.safetensors", *read, *QUICK)
    assert load_file(tmp_path / "a.safetensors")["1.weight"].shape == (8, 36)
    measured = ["measure", str(tmp_path / "a.safetensors"), *read, "--measures", "stable_rank", "--json"]
    result = CliRunner().invoke(app, measured)
    assert result.exit_code == 0, result.output
    assert "stable_rank_reshaped" in result.stdout

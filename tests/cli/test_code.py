import json
from pathlib import Path

import torch
from pacbound_cli.main import app
from safetensors.torch import save_file
from typer.testing import CliRunner

from pacbound.methods.direct.files import read_index


def test_code_prints_a_row_for_each_layer_and_writes_the_file(tmp_path: Path) -> None:
    save_file({"a": torch.randn(40, 50), "b": torch.ones(7)}, tmp_path / "w.safetensors")
    result = CliRunner().invoke(app, ["code", str(tmp_path / "w.safetensors"), "--quantizer", "lattice", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == read_index(tmp_path / "w.safetensors.coded").model_dump(mode="json")
    rows = result.stderr.splitlines()
    assert [row.split()[0] for row in rows] == ["layer", "a", "b", "all", "written"]
    assert rows[3].split()[1] == "2,007"


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["code", str(tmp_path / "w.safetensors")])
    assert result.exit_code != 0
    assert "safetensors" in str(result.exception)
    torch.save({"a": torch.ones(3)}, tmp_path / "w.pt")
    result = CliRunner().invoke(app, ["code", str(tmp_path / "w.pt")])
    assert "w.pt is a safetensors file, its header has no sensible length. Save a state_dict" in str(result.exception)

"""The ablation: rungs that share their training end where they would alone, and carry its time."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pacbound as pb
from pacbound.pipeline import encoding
from tests.several import brief

SCRIPT = Path(__file__).parents[1] / "results" / "ablation" / "run.py"
REQUEST = pb.Request(data="digits", model="mlp", d=8, epochs=1)


@pytest.fixture(scope="module")
def ablation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ablation_run", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ablation_run"] = module
    spec.loader.exec_module(module)
    return module


def test_a_rung_that_shares_its_training_ends_as_it_would_alone(
    ablation: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", brief)
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    shared.mkdir()
    alone.mkdir()
    ablation.climb(["3_independent_rounding", "7_fisher_again", "8_blocks"], REQUEST, shared)
    ablation.climb(["8_blocks"], REQUEST, alone)
    first, second = (pb.Certificate.load(folder / "8_blocks.json") for folder in (shared, alone))
    assert first.core_digest == second.core_digest
    before = pb.Certificate.load(shared / "3_independent_rounding.json").environment.seconds
    assert first.environment.seconds["training"] > before["training"] / 3  # the shared stages come with their time


def test_every_rung_begins_at_a_rung_that_comes_before_it(ablation: ModuleType) -> None:
    names = list(ablation.RUNGS)
    for place, (name, rung) in enumerate(ablation.RUNGS.items()):
        if rung.after:
            assert names.index(rung.after[0]) < place, name


def test_finished_rungs_are_left_alone(ablation: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "5_beam.json").write_text("kept")
    ablation.climb(["5_beam"], REQUEST, tmp_path)
    assert (tmp_path / "5_beam.json").read_text() == "kept"

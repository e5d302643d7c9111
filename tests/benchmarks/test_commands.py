"""Seconds of commands in a fresh process, over an interpreter that only imports torch, or reads the same files.

Run: python -m pytest -m benchmark tests/benchmarks/test_commands.py
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.forge import honest

pytestmark = pytest.mark.benchmark
CERTIFICATE = Path(__file__).parents[2] / "results" / "features" / "mnist-seed_0.json"
TORCH = ["-c", "import torch"]
READ = "import json, pathlib, sys; [json.loads(p.read_text()) for p in pathlib.Path(sys.argv[1]).iterdir()]"
PACBOUND = ["-m", "pacbound_cli"]
Figure = Callable[..., None]
Timed = Callable[..., float]


def _ran(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


def test_bound_answers_before_torch_is_imported(figure: Figure, timed: Timed) -> None:
    bound = timed(_ran(*PACBOUND, "bound", "--errors", "1200", "--n", "60000", "--bits", "5000"), 5)
    figure("pacbound bound", bound, timed(_ran(*TORCH), 5), "import torch", most=1.0)


def test_verification_at_level_risk_takes_a_few_imports_of_torch(figure: Figure, timed: Timed, data_root: Path) -> None:
    command = ["verify", str(CERTIFICATE), "--data", "mnist", "--level", "risk", "--data-dir", str(data_root)]
    seconds = timed(_ran(*PACBOUND, *command))
    over = timed(_ran(*TORCH), 5)
    figure("verify --level risk, 60,000 of MNIST behind moments", seconds, over, "import torch", most=15)


def test_two_hundred_certificates_are_compared_in_a_few_times_of_reading_them(
    figure: Figure, timed: Timed, tmp_path: Path
) -> None:
    for setting in range(40):
        for seed in range(5):
            certificate = honest(count=64 + 8 * setting, seed=seed, errors=900 - 10 * setting + 3 * seed)
            certificate.save(tmp_path / f"d{64 + 8 * setting}_seed_{seed}.json")
    seconds = timed(_ran(*PACBOUND, "compare", str(tmp_path)), 3)
    over = timed(_ran("-c", READ, str(tmp_path)), 3)
    figure("compare of 200 certificates", seconds, over, "json.load of them", most=60)

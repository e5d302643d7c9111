"""Forecast over real, and peak memory, of whole certificates at three sizes, the larger two verified too.

Run: python -m pytest -m benchmark tests/benchmarks/test_large.py
For 124 million parameters, about an hour of one core: python tests/benchmarks/large.py 124M FOLDER
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import pacbound as pb
from pacbound.pipeline.forecast import forecast
from pacbound.pipeline.preparation import prepare

pytestmark = pytest.mark.benchmark
SCRIPT = Path(__file__).with_name("large.py")
MOST_GB = {"11M": 2.0, "30M": 3.0}
FACTOR = 1.5


def test_the_digits_take_as_long_as_forecast(figure: Callable[..., None]) -> None:
    plan = forecast(prepare("auto", "digits", None, pb.Request(epochs=200), "zero_one"))
    made = pb.certify("auto", "digits", request=pb.Request(epochs=200), progress=False)
    real = sum(made.environment.seconds.values())
    assert plan.seconds >= real / FACTOR
    figure("forecast, digits", plan.seconds, real, "the run", most=FACTOR)


@pytest.mark.parametrize("size", MOST_GB)
def test_a_large_network_is_certified_and_verified_in_little_memory(
    size: str, tmp_path: Path, figure: Callable[..., None]
) -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), size, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    print(f"\n{said}")
    assert found["peak_gb"] <= MOST_GB[size]
    assert found["forecast_seconds"] >= found["real_seconds"] / FACTOR
    assert found["forecast_gb"] >= found["real_gb"] / FACTOR
    figure(f"forecast, {size}", found["forecast_seconds"], found["real_seconds"], "the run", most=FACTOR)
    figure(f"forecast of memory, {size}", found["forecast_gb"], found["real_gb"], "the run", unit="GB", most=FACTOR)

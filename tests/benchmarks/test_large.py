"""Forecast over real by stage, and peak memory, of whole certificates: of images, and of networks of three sizes.

Run: python -m pytest -m benchmark tests/benchmarks/test_large.py
124 million parameters take half an hour of one core, so that their figures are those of a run of its own, the last line
of which is kept: python tests/benchmarks/large.py 124M FOLDER 1 | tail -1 > results/benchmarks/large_124M.json
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pacbound as pb
from pacbound.methods.plans import plans
from pacbound.pipeline.forecast import Forecast

pytestmark = pytest.mark.benchmark
SCRIPT = Path(__file__).with_name("large.py")
MOST_GB = {"11M": 2.0, "30M": 3.0, "124M": 6.0}
FACTOR = 1.5
KEPT = Path(__file__).parents[2] / "results" / "benchmarks" / "large_124M.json"


@pytest.mark.parametrize(("model", "named"), [("auto", "digits"), ("bars2-c8k3p1-R-A3-L", "digits behind features")])
def test_the_digits_take_as_long_as_forecast(model: str, named: str, figure: Callable[..., None]) -> None:
    """Of the whole, and of each stage; behind features along leading directions, which are found first."""
    request = pb.Request(model=model, epochs=200)
    plan = plans(request)["subspace"]
    assert isinstance(plan, Forecast)
    real = pb.certify(request=request, progress=False).environment.seconds
    assert ("directions" in plan.stages) == ("directions" in real) == (model != "auto")
    for stage, seconds in plan.stages.items():
        figure(f"forecast of {stage}, {named}", seconds, real[stage], "the stage")
    whole = sum(real.values())
    assert plan.seconds >= whole / FACTOR
    figure(f"forecast, {named}", plan.seconds, whole, "the run", most=FACTOR)


@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_images_take_as_long_and_as_much_memory_as_forecast(
    data: str, data_root: Path, tmp_path: Path, figure: Callable[..., None]
) -> None:
    """Of all 50,000 or 60,000, behind features that nobody computes twice; those of CIFAR-10 are held in halves."""
    plan, path = plans(pb.Request(data=data, epochs=3))["subspace"], tmp_path / "c.json"
    assert isinstance(plan, Forecast)
    program_gb = peak_gb("-c", "import pacbound.methods.table")
    grown_gb = peak_gb("-m", "pacbound_cli", "certify", "--data", data, "--epochs", "3", "--output", path) - program_gb
    real = pb.Certificate.load(path).environment.seconds
    for stage, seconds in plan.stages.items():
        figure(f"forecast of {stage}, {data}", seconds, real[stage], "the stage")
    whole = sum(real.values())
    figure(f"forecast, {data}", plan.seconds, whole, "the run", most=FACTOR)
    figure(f"forecast of memory, {data}", plan.memory_bytes / 1e9, grown_gb, "the run", unit="GB", most=FACTOR)
    assert plan.seconds >= whole / FACTOR
    assert plan.memory_bytes / 1e9 >= grown_gb / FACTOR


def peak_gb(*arguments: object) -> float:
    """The most memory that Python with such arguments held."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) * 1024 / 1e9


@pytest.mark.parametrize("size", ["11M", "30M"])
def test_a_large_network_is_certified_and_verified_in_little_memory(
    size: str, tmp_path: Path, figure: Callable[..., None]
) -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), size, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    print(f"\n{said}")
    compare(size, json.loads(said.splitlines()[-1]), figure)


def test_the_largest_network_was_certified_and_verified_in_little_memory(figure: Callable[..., None]) -> None:
    compare("124M", json.loads(KEPT.read_text("utf-8")), figure)


def compare(size: str, found: dict[str, Any], figure: Callable[..., None]) -> None:
    """Note what a run of large.py found, beside its forecast and what it may hold."""
    planned, seconds = found["forecast"], found["seconds"]
    peak_gb = max(found["peaks_gb"].values())
    told = sum(planned.values()), sum(seconds[stage] for stage in planned)
    for stage, forecast_seconds in planned.items():
        figure(f"forecast of {stage}, {size}", forecast_seconds, seconds[stage], "the stage", unit="CPU s")
    figure(f"forecast, {size}", *told, "the run", unit="CPU s", most=FACTOR)
    figure(f"making the forecast, {size}", seconds["forecast"], told[1], "the run", unit="CPU s", most=0.1)
    grown_gb = peak_gb - found["before_gb"]
    figure(f"forecast of memory, {size}", found["forecast_gb"], grown_gb, "the run", unit="GB", most=FACTOR)
    figure(f"peak memory, {size}", peak_gb, MOST_GB[size], "what it may be", unit="GB", most=1.0)
    assert told[0] >= told[1] / FACTOR
    assert found["forecast_gb"] >= grown_gb / FACTOR

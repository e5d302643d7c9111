"""The experiment's own code: its designs are what their names say, and its statistics are those of the textbook."""

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import nn

from pacbound.measures.redundancy.designs import designs_of
from pacbound.measures.redundancy.redundancy import measure
from pacbound.request.request import Request

FOLDER = Path(__file__).parents[3] / "results" / "redundancy"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"redundancy_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    path = list(sys.path)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = path
    return module


designs, analysis, runs = load("designs"), load("analyse"), load("run")


@pytest.mark.parametrize("name", designs.NAMES)
def test_a_design_has_the_ratio_in_its_name_and_the_same_depth_and_width_as_all(name: str) -> None:
    model: nn.Module = getattr(designs, name)()
    assert model(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    stem, *blocks = designs_of(model, torch.zeros(1, 1, 28, 28))
    family, number = name.split("_")
    ratio = 1 / int(number) if family == "inverted" else int(number)
    assert stem.kind == "plain"
    assert [block.ratio for block in blocks] == [ratio] * 3
    assert blocks[-1].outputs == 64


def test_the_counts_of_a_design_are_those_of_the_measure() -> None:
    model, shape = designs.bottleneck_8(), analysis.shape_of("bottleneck_8")
    found = {one.name: one.value for one in measure(model, torch.zeros(1, 1, 28, 28))}
    assert shape.naive == found["redundancy_naive_parameters"]
    assert shape.dimension == found["redundancy_sample_dimension"] < shape.naive
    assert shape.D == sum(p.numel() for p in model.parameters()) > shape.naive


def test_every_design_has_a_command_on_both_data_sets_that_the_command_line_reads() -> None:
    commands = runs.commands()
    assert len(commands) == 2 * len(designs.NAMES) * len(runs.DIMENSIONS)
    assert commands["mnist_ghost_8_d256"] == [
        "--data", "subset:mnist", "--model", "designs:ghost_8", "--base", "seeded", "--d", "256", *runs.TRAINING,
    ]  # fmt: skip
    assert {name.removeprefix("--") for name in runs.TRAINING[::2]} <= set(Request.model_fields)


def outcome(ratio: float, D: int, bits: float) -> object:
    return analysis.Outcome("x_1", ratio, 0.0, 0.0, D, bits, 0.5, True)


def test_kendalls_tau_is_that_of_scipy_with_ties_and_without() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        x, y = generator.integers(0, 6, 9).tolist(), generator.normal(size=9).tolist()
        assert analysis.kendall(x, y) == pytest.approx(kendalltau(x, y).statistic)
    assert math.isnan(analysis.kendall([1, 1], [1, 2]))
    never = [math.inf, math.inf, 1.0, 2.0]  # two designs did not reach the error: they are tied behind all others
    assert analysis.kendall([4, 3, 1, 2], never) == pytest.approx(kendalltau([4, 3, 1, 2], [9, 9, 1, 2]).statistic)


def test_the_partial_tau_vanishes_where_size_explains_everything_and_stays_where_it_does_not() -> None:
    generator = np.random.default_rng(0)
    sizes = generator.permutation(200)
    noise = generator.normal(size=(2, 200)) * 60
    explained = [outcome(-s + a, int(s), s + b) for s, a, b in zip(sizes, *noise, strict=True)]
    bits = [o.bits for o in explained]
    assert analysis.kendall([o.ratio for o in explained], bits) < -0.2
    assert abs(analysis.partial(explained, bits)) < 0.12
    apart = [outcome(a, int(s), -a) for s, a in zip(sizes, noise[0], strict=True)]
    assert analysis.partial(apart, [o.bits for o in apart]) < -0.9


def test_the_interval_holds_the_value_and_narrows_with_more_designs() -> None:
    generator = np.random.default_rng(0)

    def interval(n: int) -> tuple[float, float]:
        rows = [outcome(a, i + 1, a + b) for i, (a, b) in enumerate(generator.normal(size=(n, 2)))]
        value = analysis.associations(rows)["tau(K/R, bits)"]
        assert value["low"] < value["value"] < value["high"]
        return value["low"], value["high"]

    analysis.RESAMPLES = 200
    few, many = interval(10), interval(40)
    assert many[1] - many[0] < few[1] - few[0]


def test_pairs_within_families_alone_can_point_the_other_way() -> None:
    make = analysis.Outcome
    low = [make(f"a_{i}", i, 0.0, 0.0, 1, 10.0 - i, 0.5, True) for i in (1, 2, 3)]
    high = [make(f"b_{i}", 10 + i, 0.0, 0.0, 1, 100.0 - i, 0.5, True) for i in (1, 2, 3)]
    assert analysis.kendall([o.ratio for o in low + high], [o.bits for o in low + high]) == pytest.approx(3 / 15)
    assert analysis.within(low + high) == -1
    assert math.isnan(analysis.within([low[0], high[0]]))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-0.2, 0.3, "holds 0"), (-0.6, -0.1, "fewer bits"), (0.1, 0.6, "more bits")],
)
def test_the_paragraph_says_what_the_interval_says(low: float, high: float, words: str) -> None:
    values = {"value": (low + high) / 2, "low": low, "high": high}
    found = {f"tau({name})": values for name in ("K/R, bits", "D, bits", "K/R, bits | D")}
    said = analysis.paragraph("mnist", [outcome(1, 10, math.inf), outcome(2, 20, 5.0)], 0.2, found)
    assert words in said
    assert "do not reach it, 1," in said


def test_bits_are_read_off_between_two_certificates() -> None:
    points = [(3000, 0.02), (1000, 0.10), (2000, 0.04)]
    assert analysis.bits_at(points, 0.07) == 1500
    assert analysis.bits_at(points, 0.04) == 2000
    assert analysis.bits_at(points, 0.03) == 2500
    assert analysis.bits_at(points, 0.5) == 1000  # fewer might do: the table says <=
    assert analysis.bits_at(points, 0.01) == math.inf

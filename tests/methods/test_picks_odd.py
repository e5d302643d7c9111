"""`certify --method picks` on samples that are odd, and on labels that say nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from torch import Tensor, nn
from typer.testing import CliRunner

import pacbound as pb
from pacbound.errors import RequestError
from tests.picking.task import Broken, noisy
from tests.tiny import CLASSES, FEATURES, clouds, network

QUICK = {
    "method": "picks", "pick_first": 4, "pick_growth": 8, "pick_steps": 25, "pick_epochs": 0, "pick_batch": 16,
    "pick_rate": 30000, "augmentation": "none",
}  # fmt: skip


def certified(x: Tensor, y: Tensor, module: nn.Module | None = None, **options: Any) -> pb.Certificate:
    request = pb.Request.model_validate({**QUICK, **options})
    return pb.certify(network() if module is None else module, (x, y), request=request, progress=False)


def noise(n: int = 100) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, FEATURES, generator=torch.Generator().manual_seed(0))
    return x, torch.randint(CLASSES, (n,), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("order", ["priority", "worst"])
@pytest.mark.parametrize("most", [None, 100])
def test_on_random_labels_no_bound_is_below_the_true_risk(order: str, most: int | None) -> None:
    made = certified(*noise(), pick_order=order, max_picks=most)
    assert made.picks is not None
    assert made.bound.value >= 1 - 1 / CLASSES
    assert all(
        other.value >= 1 - 1 / CLASSES for other in made.also if getattr(other, "theorem", "") == "picks_classical"
    )
    assert made.statement.endswith("This is vacuous: no better than guessing.")


def test_random_labels_exit_0_on_the_command_line(tmp_path: Path) -> None:
    x, y = noise()
    np.savez(tmp_path / "noise.npz", x=x.numpy(), y=y.numpy())
    options = [f"--{name.replace('_', '-')}={value}" for name, value in QUICK.items()]
    output = tmp_path / "noise.json"
    done = CliRunner().invoke(
        app, ["certify", *options, "--model=h8-R-L", f"--data={tmp_path / 'noise.npz'}", f"--output={output}"]
    )
    assert (done.exit_code, pb.Certificate.load(output).bound.value >= 1 - 1 / CLASSES) == (0, True), done.output


def test_ten_examples_and_one_class_have_a_bound_that_stands(tmp_path: Path) -> None:
    x, y = clouds(10)
    few = certified(x, y)
    assert few.picks is not None
    assert few.picks.picked <= 4, "a quarter is less than the first size, so nothing or that is picked"
    x = clouds(80)[0]
    one = certified(x, torch.cat([torch.ones(79, dtype=torch.int64), torch.full((1,), 2)]), max_picks=40)
    for name, made, sample in (("few", few, (clouds(10))), ("one", one, None)):
        made.save(tmp_path / f"{name}.json")
        if sample is not None:
            assert pb.verify(tmp_path / f"{name}.json", data=sample, model=network(), level="replay").stands
    assert one.bound.value < 1


def test_a_network_that_says_no_number_has_the_bound_1() -> None:
    made = certified(*clouds(60), Broken(), base="values", max_picks=8)
    assert (made.bound.value, made.risk.errors) == (1.0, 60)


def test_the_round_with_the_fewest_picks_and_errors_is_taken() -> None:
    examples = noisy(100)
    sums = []
    for most in (4, 6, 13, 28, 42):
        made = certified(examples.x, examples.y, max_picks=most)
        assert made.picks is not None
        assert made.picks.picked <= most
        sums.append(made.picks.picked + made.picks.errors)
    assert sums == sorted(sums, reverse=True), "a longer run may stop where a shorter one did"
    assert sums[-1] < sums[0]


@pytest.mark.parametrize("options", [{"d": 8}, {"epochs": 3}, {"loss": "top_2"}, {"pick_steps": 26}])
def test_options_of_others_and_values_of_no_menu_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="picks"):
        certified(*clouds(60), **options)

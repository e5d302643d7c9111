"""The certificates that the project itself publishes: each stands, and README.md says what they say."""

import functools
import itertools
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

import pacbound as pb

ROOT = Path(__file__).parents[1]
CERTIFICATES = sorted(
    path for path in (ROOT / "results").glob("*/*.json") if '"schema_version"' in path.read_text("utf-8")[:200]
)


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_published_certificate_stands_at_level_message(path):
    assert pb.verify(path, level="message").require().stands


def test_there_are_published_certificates():
    assert len(CERTIFICATES) >= 5


def test_the_readmes_say_what_results_say(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["table.py", "--check"])
    monkeypatch.setattr(pb.Certificate, "load", functools.cache(pb.Certificate.load))  # most are asked for twice
    assert runpy.run_path(str(ROOT / "results" / "table.py"))["main"]() == 0


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("digits/seed_0", 0.32), ("plain/mnist", 0.105), ("plain/fashion-mnist", 0.26), ("mnist/seed_0", 0.075),
        ("fashion_mnist/seed_0", 0.21), ("cifar10/default", 0.55), ("surrogate/mnist_lenet", 0.16),
        ("direct/lenet_tuned_0.125", 0.6), ("picks/cifar10_0", 0.33), ("picks/cifar10_features", 0.22),
        ("picks/digits_0", 0.12), ("picks/digits_1", 0.12), ("picks/mnist_0", 0.022), ("picks/mnist_1", 0.022),
        ("picks/fashion-mnist_0", 0.155), ("picks/fashion-mnist_1", 0.155), ("picks/fashion-mnist_2", 0.155),
        ("features/mnist-seed_0", 0.041), ("features/mnist_ekfac-seed_0", 0.041),
        ("features/fashion-mnist_ekfac-seed_0", 0.187),
        ("features/digits-seed_0", 0.29), ("features/cifar10_ekfac-seed_0", 0.485),
        ("features/mnist_bars-seed_0", 0.039), ("features/mnist_bars_long-seed_0", 0.038),
        ("features/fashion-mnist_bars-seed_0", 0.18),
        ("features/cifar10_bars-seed_0", 0.425), ("features/cifar10_bars_long-seed_0", 0.417),
        ("features/cifar10_ekfac_longest-seed_0", 0.475), ("prior/cifar10_32", 0.135),
        ("curves/cifar10-epochs_3", 0.53), ("curves/digits-epochs_200", 0.28),
        ("small/wine_quarter-seed_0", 0.3), ("small/wine_all_picks-seed_0", 0.4),
    ],
)  # fmt: skip
def test_headline_certificates_reach_their_targets(name, most):
    assert pb.Certificate.load(ROOT / "results" / f"{name}.json").bound.value <= most


def test_the_digits_certificate_stands_at_level_risk():
    assert pb.verify(ROOT / "results" / "digits" / "seed_0.json", level="risk").require().recount is not None


def test_the_picks_of_digits_stand_at_level_risk():
    assert pb.verify(ROOT / "results" / "picks" / "digits_0.json", level="risk").require().recount is not None


def made(file: str, name: str) -> Any:
    """Call a function of a file of results."""
    return runpy.run_path(str(ROOT / "results" / file))[name]()


def test_the_picks_of_wine_stand_at_level_risk_and_replay_says_whether_this_machine_makes_them_again():
    path = ROOT / "results" / "small" / "wine_all_picks-seed_0.json"
    again = pb.verify(path, data=made("small/samples.py", "wine_whole"), level="replay")  # level risk, and then that
    assert again.failed is None
    assert again.recount is not None
    assert again.replay is not None
    assert again.stands == again.replay.reproduced  # another processor may round otherwise


# One of each kind is counted again, on few images: coefficients on a lattice, and on a trellis behind features. Other
# kinds have tests of their own at level risk, on small networks; here they are counted where slow tests are run.
COUNTED = [
    ("redundancy/mnist_separable_4_d64", ("redundancy/subset.py", "mnist"), ("redundancy/designs.py", "separable_4")),
    ("small/usps_like-seed_0", ("small/samples.py", "usps_like"), None),
]
SLOW = [
    ("plain/mnist", "mnist"), ("features/mnist-seed_0", "mnist"),
    ("plain/fashion-mnist", "fashion-mnist"), ("mnist/seed_0", "mnist"), ("fashion_mnist/seed_0", "fashion-mnist"),
    ("cifar10/default", "cifar10"), ("direct/lenet_tuned_0.125", "mnist"),
    ("features/fashion-mnist_bars-seed_1", "fashion-mnist"), ("features/cifar10_ekfac-seed_1", "cifar10"),
    ("features/cifar10_bars-seed_1", "cifar10"),
]  # fmt: skip


def assert_counted(path, **given):
    """Count again at level risk."""
    verdict = pb.verify(ROOT / "results" / f"{path}.json", level="risk", **given).require()
    assert verdict.recount is not None
    assert verdict.recount.errors <= pb.Certificate.load(ROOT / "results" / f"{path}.json").risk.errors


@pytest.mark.parametrize(("path", "data", "model"), COUNTED)
@pytest.mark.usefixtures("data_root")
def test_published_certificates_stand_at_level_risk(path, data, model):
    assert_counted(path, data=made(*data), model=model and made(*model))


@pytest.mark.slow
@pytest.mark.parametrize(("path", "name"), SLOW)
def test_published_certificates_of_whole_data_sets_stand_at_level_risk(path, name, data_root):
    assert_counted(path, data=name, data_dir=data_root)


def test_the_bound_for_a_published_network_stands_at_level_risk(data_root):
    path = ROOT / "results" / "surrogate" / "mnist_lenet.json"
    original = data_root / "checkpoints" / "lenet5-mnist" / "mnist_lenet5_clntrained.pt"
    verdict = pb.verify(
        path, data="mnist", data_dir=data_root, checkpoint=original, unlabelled="mnist:test:1/2", level="risk"
    )
    assert verdict.require().level == "risk"


@pytest.mark.parametrize("experiment", ["curves", "features", "projectors", "small"])
def test_commands_name_the_projector_of_their_certificates_where_it_is_not_the_default(experiment):
    folder, made = ROOT / "results" / experiment, 0
    for name, options in runpy.run_path(str(folder / "run.py"))["COMMANDS"].items():
        if not (folder / f"{name}.json").exists():
            continue
        spec = pb.Certificate.load(folder / f"{name}.json").hypothesis
        if spec.projector is not None:
            behind = any(layer in spec.model for layer in ("moments", "edges", "opponent", "bars"))
            default = "ekfac" if behind and "--prior-share" not in options else "fastfood"
            named = dict(itertools.pairwise(options))
            assert spec.projector.kind == named.get("--projector", default), name
            made += 1
    assert made > 5

"""The studies of the package: each is a set of valid requests, over at least three seeds, that pays for no choice."""

from pathlib import Path

import pytest

from pacbound.errors import RequestError
from pacbound.models.loading import load_model
from pacbound.request.request import Request
from pacbound.studies.catalogue import Extent, Study, names, parts_of, read_study


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", names())
def test_every_study_has_runs_of_three_seeds_and_no_grid_with_a_price(name: str, full: bool) -> None:
    study = read_study(name)
    parts = parts_of(study, full)
    seeds: dict[tuple[str, str], set[int]] = {}
    for part in parts:
        assert not part.plan.priced
        for run in range(len(part.plan.runs)):
            seeds.setdefault((part.sample, part.arm), set()).add(part.plan.request_of(run).seed)
    assert len(seeds) >= 2
    assert all(len(found) >= 3 for found in seeds.values())
    names_of_runs = [part.name(run) for part in parts for run in range(len(part.plan.runs))]
    assert len(set(names_of_runs)) == len(names_of_runs)
    assert len({part.folder for part in parts}) == len(parts)


def test_the_studies_are_those_that_were_asked_for() -> None:
    assert set(names()) == {"transfer", "model-size", "equivariance", "optimizer", "shuffle", "data-dependent"}


def test_both_networks_of_equivariance_have_as_many_parameters_within_a_hundredth() -> None:
    sizes = set()
    for part in parts_of(read_study("equivariance"), False):
        network = load_model(part.plan.request.model, (1, 28, 28), 10)[0]
        sizes.add(sum(parameter.numel() for parameter in network.parameters()))
    assert len(sizes) == 2
    assert max(sizes) / min(sizes) < 1.01


def test_arms_of_one_sample_differ_in_what_the_study_names_alone() -> None:
    for name, differ in {"equivariance": {"model"}, "model-size": {"model"}, "data-dependent": {"prior_share"}}.items():
        parts = parts_of(read_study(name), False)
        same = [part.plan.request for part in parts if part.sample == parts[0].sample]
        for request in same[1:]:
            changed = {key for key in Request.model_fields if getattr(request, key) != getattr(same[0], key)}
            assert changed == differ


def test_twenty_samples_have_random_labels_of_known_risk() -> None:
    parts = [part for part in parts_of(read_study("shuffle"), False) if part.true_risk is not None]
    assert len({part.plan.request.data for part in parts}) == 20
    assert {part.true_risk for part in parts} == {0.9}
    assert {part.plan.request.test for part in parts} == {f"digits:test+random_labels_{seed}" for seed in range(20)}


def study_of(**changes: object) -> Study:
    fields = {
        "title": "t", "shows": "s", "samples": {"A": {"data": "digits"}}, "arms": {"x": {}, "y": {}},
        "small": Extent(minutes=1, seeds=3), "full": Extent(minutes=1, seeds=3), **changes,
    }  # fmt: skip
    return Study.model_validate(fields)


def test_options_of_the_arm_win_over_those_of_sample_extent_and_study() -> None:
    study = study_of(
        options={"d": 1, "epochs": 1, "batch": 1, "step": 1.0}, samples={"A": {"batch": 3, "step": 3.0}},
        small=Extent(minutes=1, seeds=3, options={"epochs": 2, "batch": 2, "step": 2.0}),
        arms={"x": {"options": {"step": 4.0}}},
    )  # fmt: skip
    request = parts_of(study, False)[0].plan.request
    assert (request.d, request.epochs, request.batch, request.step) == (1, 2, 3, 4.0)


def test_a_checkpoint_below_the_data_is_found_there(tmp_path: Path) -> None:
    arm = {"options": {"checkpoint": "{data}/a.pt", "disjoint": True}}
    part = parts_of(study_of(arms={"x": arm}), False, data_dir=tmp_path)[0]
    assert part.plan.request.checkpoint == str(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: read_study("transfers"), "one of data-dependent, .* got 'transfers'"),
        (lambda: parts_of(study_of(arms={"x": {"options": {"epoch": 3}}}), False), "no option 'epoch'"),
        (lambda: parts_of(study_of(arms={"x": {"options": {"posterior": "draw"}}}), False), "look at the data anew"),
    ],
)
def test_what_is_no_study_is_refused(act: object, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        act()  # type: ignore[operator]

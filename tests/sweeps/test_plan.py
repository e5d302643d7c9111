"""A sweep is a finite list of valid requests before anything runs."""

from pathlib import Path

import pytest

from pacbound.errors import RequestError
from pacbound.request.request import Request
from pacbound.sweeps.plan import NEVER, Plan, Search, make_plan, read_plan

SHARED = Request(encoder="plain", epochs=3)


def plan(grid: dict[str, object], search: Search | None = None, request: Request = SHARED) -> Plan:
    return make_plan(request, search or Search(), grid)


def test_a_grid_is_the_product_of_its_values_in_order() -> None:
    made = plan({"d": [8, 9], "projector": ["fastfood", "sparse"], "code": [["adaptive"], ["static", "laplace"]]})
    assert len(made.runs) == 8
    assert made.values_of(0) == {"d": 8, "projector": "fastfood", "code": ("adaptive",)}
    assert made.values_of(7) == {"d": 9, "projector": "sparse", "code": ("static", "laplace")}
    assert made.request_of(7) == SHARED.model_copy(
        update={"d": 9, "projector": "sparse", "code": ("static", "laplace")}
    )
    record = made.record(3, None, made.texts_of())
    assert record.values_of(3) == {"d": "8", "projector": "sparse", "code": "static,laplace"}


def test_draws_are_made_beforehand_by_a_seed_and_from_the_grid() -> None:
    grid: dict[str, object] = {"d": list(range(8, 40)), "seed": list(range(50))}
    first, again = (plan(grid, Search(draws=24, seed=5)) for _ in range(2))
    assert first.runs == again.runs
    assert len(set(first.runs)) == 24
    assert first.runs != plan(grid, Search(draws=24, seed=6)).runs
    assert set(first.runs) <= {(d, seed) for d in range(8, 40) for seed in range(50)}
    assert len(plan({"d": [8, 9]}, Search(draws=24)).runs) == 2


def test_ranges_are_drawn_within_their_ends_and_evenly_over_orders_where_log() -> None:
    grid: dict[str, object] = {
        "rate": {"low": 1e-4, "high": 1.0, "log": True}, "beta": {"low": 1, "high": 3.0}, "d": {"low": 8, "high": 10},
    }  # fmt: skip
    made = plan(grid, Search(draws=400, seed=1))
    rates, betas, ds = zip(*made.runs, strict=True)
    assert all(1e-4 <= rate <= 1 for rate in rates)
    assert all(1 <= beta <= 3 for beta in betas)
    assert set(ds) == {8, 9, 10}
    assert 0.4 < sum(rate < 1e-2 for rate in rates) / len(rates) < 0.6


@pytest.mark.parametrize("name", sorted(NEVER))
def test_what_is_stated_is_never_an_option(name: str) -> None:
    with pytest.raises(RequestError, match=rf"{name} is no option of a grid: it "):
        plan({name: [1, 2]})


def test_delta_and_the_sample_are_among_what_is_never_an_option() -> None:
    assert {"delta", "data", "test", "loss"} <= set(NEVER)


@pytest.mark.parametrize(
    ("grid", "search", "complaint"),
    [
        ({"dd": [1]}, Search(), "there is no option 'dd'. Did you mean 'd'"),
        ({"d": 8}, Search(), "is a list of values or a range, got 8"),
        ({"d": []}, Search(), "is a list of values or a range"),
        ({"d": [8, 8]}, Search(), "got one twice"),
        ({"d": [0]}, Search(), "option 'd'"),
        ({"rate": {"low": 1.0, "high": 2.0}}, Search(), "a range has no end of values. Write draws = N"),
        ({"rate": {"low": 2.0, "high": 1.0}}, Search(draws=2), "goes up from low"),
        ({"rate": {"low": 0.0, "high": 1.0, "log": True}}, Search(draws=2), "positive with log"),
        ({"rate": {"from": 0.0}}, Search(draws=2), "a range is {low = A, high = B}"),
        ({"d": list(range(1, 100)), "seed": list(range(99))}, Search(), "at most 4,096 runs, got 9,801"),
        ({"method": ["subspace", "surrogate"]}, Search(), "a surrogate and a draw look at the data anew"),
        ({"model": ["nets:a", "nets:b"]}, Search(), "got nobody's word. Write earlier_sweeps = N"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused_before_anything_is(
    grid: dict[str, object], search: Search, complaint: str
) -> None:
    with pytest.raises(RequestError) as refused:
        plan(grid, search)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    "request_of",
    [Request(posterior="draw", earlier_draws=0), Request(method="auto", unlabelled="digits:test")],
    ids=["draw", "comparison"],
)
def test_what_looks_at_the_data_anew_each_time_is_no_run_of_a_grid(request_of: Request) -> None:
    with pytest.raises(RequestError, match="Certify them alone"):
        plan({"d": [8, 9]}, request=request_of)


@pytest.mark.parametrize(
    ("grid", "options"),
    [
        ({"encoder_seed": [0, 1]}, {"prior_share": 0.5, "start_minutes": 1.0}),
        ({"start_minutes": [1.0, 2.0]}, {"prior_share": 0.5}),
        ({"device": ["cpu", "cuda"]}, {"prior_share": 0.5}),
        ({"device": ["cpu", "cuda"], "prior_share": [0.25, 0.5]}, {}),
    ],
)
def test_theta0_of_a_split_is_one_for_runs_whose_messages_say_the_same(
    grid: dict[str, object], options: dict[str, object]
) -> None:
    """Bounds of four theta0 that the clock made were .61 to .45 on digits, and the grid paid nothing."""
    with pytest.raises(RequestError, match="nothing pays for keeping the best"):
        plan(grid, Search(earlier_sweeps=0), Request.model_validate(options))
    assert len(plan({"encoder_seed": [0, 1]}, Search(), Request(prior_share=0.5)).runs) == 2


def test_networks_and_files_are_shown_by_digest_and_never_by_path(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    made = plan({"checkpoint": [str(one), str(two)], "model": ["nets:a", "lenet"]}, Search(earlier_sweeps=0))
    record = made.record(0, 1, made.texts_of())
    assert str(tmp_path) not in record.model_dump_json()
    assert "nets" not in record.model_dump_json()
    assert record.values_of(0)["checkpoint"] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert record.values_of(1)["model"] == "lenet"
    assert record.combinations == 4
    assert made.priced
    two.write_bytes(b"one")
    with pytest.raises(RequestError, match="checkpoint are different ones, got one twice"):
        made.texts_of()


def test_ways_say_the_most_expensive_of_each_option() -> None:
    made = plan({"rate": [0.1], "d": [8], "theorem": ["auto"], "model": ["lenet", "nets:a"]}, Search(earlier_sweeps=3))
    assert made.ways() == {"rate": "free", "d": "message", "theorem": "outcome", "model": "grid"}


def test_a_file_has_options_a_search_and_a_grid(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('epochs = 3\nencoder = "plain"\n[sweep]\nengine = "random"\n[grid]\nd = [8, 9]\n')
    made = read_plan(path)
    assert (made.request, made.search.engine, made.runs) == (SHARED, "random", ((8,), (9,)))
    assert Plan.model_validate_json(made.model_dump_json()) == made
    path.write_text("d = 9\n")
    with pytest.raises(RequestError, match=r"has a table \[grid\]"):
        read_plan(path)
    path.write_text('[sweep]\nengine = "best"\n[grid]\nd = [8]\n')
    with pytest.raises(RequestError, match=r"option 'engine' under \[sweep\]"):
        read_plan(path)
    with pytest.raises(RequestError, match="not a readable TOML file"):
        read_plan(tmp_path / "none.toml")

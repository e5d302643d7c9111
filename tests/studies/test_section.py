"""The page of a study: means and spreads, how many bounds fail where it is known, and that nothing was chosen."""

import json
import re

import numpy as np
import pytest

from pacbound.reports.beside import text_of
from pacbound.studies.catalogue import Across, Extent, Study
from pacbound.studies.running import Results, Run
from pacbound.studies.section import below_true_risk, compared, document, report_of, sections
from tests.forge import honest


def study(across: Across | None = None) -> Study:
    extent = Extent(minutes=1, seeds=3)
    return Study(title="Two arms", shows="what differs", across=across, samples={}, arms={}, small=extent, full=extent)


def run(sample: str, arm: str, seed: int, errors: int, across: float | None = None, risk: float | None = None) -> Run:
    certificate = honest(seed=seed, errors=errors, name=sample.lower(), digest=f"{len(sample):x}" * 64)
    return Run(f"{sample}-{arm}-seed_{seed}".lower(), sample, arm, certificate, across, risk)


RUNS = (
    *(run("A", "one", seed, 900 + 40 * seed, across=10.0) for seed in range(3)),
    *(run("A", "two", seed, 1500 - 25 * seed, across=1000.0) for seed in range(3)),
    *(run("BB", "one", seed, 2000, across=20.0) for seed in range(2)),
)


def results(runs: tuple[Run, ...] = RUNS, missing: int = 0, refused: dict[str, str] | None = None) -> Results:
    return Results(runs, missing, refused or {})


def test_means_and_spreads_are_those_of_the_certificates() -> None:
    first, second = compared(results())
    assert (first.sample, second.sample) == ("A", "BB")
    for arm in first.arms:
        values = [one.certificate.stated_bound.value for one in RUNS if one.sample == "A" and one.arm == arm.name]
        assert arm.group.mean == pytest.approx(np.mean(values))
        assert arm.group.deviation == pytest.approx(np.std(values, ddof=1))
    one, two = first.arms
    assert one.contrast is None
    assert two.contrast is not None
    assert two.contrast.difference == pytest.approx(two.group.mean - one.group.mean)
    assert two.contrast.paired
    assert one.error == pytest.approx(940 / 60000)
    assert one.held_out == pytest.approx(100 / 10000)
    assert (one.across, two.across) == (10.0, 1000.0)


def test_printed_means_are_rounded_up_and_fit_the_terminal() -> None:
    text = text_of(sections(study("parameters"), results()), 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    for one in compared(results()):
        for arm in one.arms:
            shown = [float(x) for x in re.findall(rf"^{arm.name} +\d +([0-9.]+) %", text, re.MULTILINE)]
            assert any(0 <= figure - 100 * arm.group.mean < 0.01 + 1e-9 for figure in shown)


def test_it_says_that_nothing_was_chosen_and_that_each_bound_holds_alone() -> None:
    text = " ".join(text_of(sections(study(), results()), 80).split())
    assert "All 8 runs are shown and none is chosen, so that no grid has to be paid for" in text
    assert "each bound holds alone, with confidence 95 %" in text
    assert "wrong with a chance of up to 40 %" in text


@pytest.mark.parametrize(("risk", "below"), [(0.9, 3), (0.001, 0)])
def test_bounds_below_a_known_risk_are_counted_and_said(risk: float, below: int) -> None:
    known = tuple(run("A", "random", seed, 900, risk=risk) for seed in range(3))
    found = results((*RUNS, *known))
    assert below_true_risk(found.runs) == (below, 3)
    assert f"Of 3 networks the true risk is known, because labels were drawn without looking: {below} of" in (
        " ".join(text_of(sections(study(), found), 80).split())
    )
    assert document(study(), found)["below_true_risk"] == below


def test_what_is_not_finished_is_said() -> None:
    text = text_of(sections(study(), results(missing=4, refused={"a-x-seed_0": "no such file"})), 80)
    assert "a-x-seed_0 was refused: no such file" in text
    assert "4 runs are left; the same command goes on with them." in text


def test_where_nothing_has_run_nothing_else_is_said() -> None:
    text = text_of(sections(study(), results((), missing=8)), 80)
    assert text == "Not finished\n8 runs are left; the same command goes on with them."


def test_the_comparison_is_json() -> None:
    found = json.loads(json.dumps(document(study(), results())))
    assert [len(one["arms"]) for one in found["samples"]] == [2, 1]


@pytest.mark.parametrize(("across", "figures"), [(None, 2), ("parameters", 3), ("flatness", 3)])
def test_the_page_has_a_picture_of_every_sample_and_every_certificate(across: Across | None, figures: int) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    made = report_of(study(across), results())
    page = made.html()
    if across == "parameters":  # which draws all that the others do
        assert page == report_of(study(across), results()).html()
    assert len(set(re.findall(r'<svg class="figure"[^>]*aria-labelledby="(study-[^"]+)"', page))) == figures
    assert "<script" not in page
    assert all(one.name in page for one in RUNS)
    assert page.index("What this means") < page.index('<section class="certificate"')
    assert "so that no grid has to be paid for" in made.markdown()

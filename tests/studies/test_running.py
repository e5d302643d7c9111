"""A study runs its sweeps, names its certificates, and goes on with what is left; runs stay in this process."""

import shutil
from collections import deque
from pathlib import Path

import pytest

import pacbound as pb
from pacbound.errors import RequestError, StateError
from pacbound.studies.catalogue import Extent, Study, read_study
from pacbound.studies.running import Results, results_of, run_study
from pacbound.studies.section import below_true_risk
from pacbound.sweeps import driver
from pacbound.sweeps.executors import Outcome
from pacbound.sweeps.folder import Folder
from pacbound.sweeps.worker import run_one
from tests.tiny import save_clouds


class InThisProcess:
    """Runs each run where it is started, as long as there are any left to run."""

    started = 0
    most = 100

    def __init__(self, folder: Folder, where: str, minutes: int) -> None:
        self.folder = folder
        self._outcomes: deque[Outcome] = deque()

    def start(self, run: int) -> None:
        if InThisProcess.started == InThisProcess.most:
            raise KeyboardInterrupt
        InThisProcess.started += 1
        self._outcomes.append(Outcome(run, refusal=run_one(self.folder.path, run)))

    def wait(self, seconds: float) -> Outcome | None:
        return self._outcomes.popleft() if self._outcomes else None

    def stop(self) -> None:
        pass


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_clouds(tmp_path, 120)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver, "executor_of", InThisProcess)
    monkeypatch.setattr(InThisProcess, "started", 0)
    return tmp_path


def study(**changes: object) -> Study:
    options = {"encoder": "plain", "d": 8, "epochs": 2, "batch": 60, "rate": 0.05, "model": "h4-R-L"}
    fields = {
        "title": "Shuffled clouds", "shows": "that labels matter", "options": options, "across": "flatness",
        "samples": {"clouds": {"data": "clouds.npz"}},
        "arms": {"as it is": {}, "random labels": {"alteration": "random_labels_{seed}", "true_risk": 2 / 3}},
        "small": Extent(minutes=1, seeds=2), "full": Extent(minutes=1, seeds=2), **changes,
    }  # fmt: skip
    return Study.model_validate(fields)


def summed(results: Results) -> list[tuple[str, str, str]]:
    return [(run.name, run.arm, run.certificate.core_digest) for run in results.runs]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """The folder of a study that is done, and its results."""
    folder = tmp_path_factory.mktemp("finished")
    save_clouds(folder, 120)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(driver, "executor_of", InThisProcess)
        patch.setattr(InThisProcess, "started", 0)
        return folder / "s", run_study(study(), folder / "s", progress=False)


def test_every_run_has_a_certificate_under_a_name_of_its_own_that_stands(
    here: Path, finished: tuple[Path, Results]
) -> None:
    done, results = finished
    assert [run.name for run in results.runs] == [
        f"clouds-{arm}-seed_{seed}" for arm in ("as_it_is", "random_labels") for seed in (0, 1)
    ]
    assert {run.certificate.data.digest for run in results.runs[:2]} == {pb.load("clouds.npz").digest()}
    assert len({run.certificate.data.digest for run in results.runs}) == 3
    for run in results.runs:
        file = done / "certificates" / f"{run.name}.json"
        assert pb.Certificate.load(file) == run.certificate
        assert run.certificate.ledger.bits_of("choice") == 0
    assert below_true_risk(results.runs) == (0, 2)
    altered = results.runs[-1]
    data = "clouds.npz+random_labels_1"
    assert pb.verify(done / "certificates" / f"{altered.name}.json", data=data, level="risk").require().recount
    measured = [run for run in results.runs if run.across is not None]
    assert all(run.across == run.certificate.measures[0].value for run in measured)
    assert all((run.across is None) == (run.certificate.hypothesis.projector is None) for run in results.runs)
    assert results_of(study(), done / "certificates") == results


def test_what_is_finished_is_not_run_again_and_a_broken_study_goes_on(
    here: Path, finished: tuple[Path, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finished[1]
    monkeypatch.setattr(InThisProcess, "most", 3)
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), here / "s", progress=False)
    monkeypatch.setattr(InThisProcess, "most", 4)
    assert summed(run_study(study(), here / "s", progress=False)) == summed(whole)
    assert summed(run_study(study(), here / "s", progress=False)) == summed(whole)  # nothing is started


def test_without_time_nothing_runs_and_all_of_it_is_left(here: Path) -> None:
    assert run_study(study(), here / "s", budget=0, progress=False) == Results((), 4, {})


def test_what_is_refused_is_said_and_a_study_of_refusals_is_refused(here: Path) -> None:
    mixed = study(arms={"as it is": {}, "unreadable": {"options": {"model": "c4k5-L"}}})
    results = run_study(mixed, here / "mixed", progress=False)
    assert {run.arm for run in results.runs} == {"as it is"}
    assert set(results.refused) == {"clouds-unreadable-seed_0", "clouds-unreadable-seed_1"}
    with pytest.raises(RequestError, match=r"none of its runs has a certificate; .*reads images"):
        run_study(study(arms={"unreadable": {"options": {"model": "c4k5-L"}}}), here / "none", progress=False)


def test_a_certificate_of_another_run_is_not_shown_under_its_name(
    here: Path, finished: tuple[Path, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    done, results = finished
    folder = shutil.copytree(done, here / "s") / "certificates"
    monkeypatch.setattr(InThisProcess, "most", 0)  # nothing is left to run
    results.runs[3].certificate.save(folder / f"{results.runs[0].name}.json")
    with pytest.raises(StateError, match="is of another run"):
        run_study(study(), here / "s", progress=False)


def test_other_seeds_are_run_where_asked_for(here: Path) -> None:
    results = run_study(study(arms={"as it is": {}}), here / "s", seeds=(7,), progress=False)
    assert [run.name for run in results.runs] == ["clouds-as_it_is-seed_7"]


@pytest.mark.slow
def test_over_twenty_samples_with_random_labels_no_bound_is_below_the_true_risk(here: Path) -> None:
    shuffle = read_study("shuffle")
    results = run_study(shuffle.model_copy(update={"arms": {"x": shuffle.arms["random labels"]}}), here / "s")
    assert len({run.certificate.data.digest for run in results.runs}) == 20
    assert below_true_risk(results.runs) == (0, 20)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arms"), [("optimizer", 3), ("data-dependent", 4)])
def test_every_arm_of_a_small_study_of_digits_ends_in_a_certificate(name: str, arms: int, here: Path) -> None:
    results = run_study(read_study(name), here / name, seeds=(0,))
    assert results.refused == {}
    assert len(results.runs) == arms

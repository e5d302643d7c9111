"""The search: what is finished is never lost or run again, whatever breaks off."""

import json
from collections import deque
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import pacbound as pb
from pacbound.certificate.sweep import SweepRecord
from pacbound.errors import StateError
from pacbound.models.loading import load_model
from pacbound.request.request import Request
from pacbound.sweeps import driver
from pacbound.sweeps.driver import sweep
from pacbound.sweeps.engines import engine_of
from pacbound.sweeps.executors import Outcome
from pacbound.sweeps.folder import Folder
from pacbound.sweeps.plan import Plan, Search, make_plan
from pacbound.sweeps.worker import run_one
from tests.tiny import save_clouds

SHARED = Request(encoder="plain", d=8, epochs=2, batch=60, rate=0.05, model="h4-R-L", data="clouds.npz")
GRID: dict[str, object] = {"d": [4, 8], "seed": [0, 1]}


class InThisProcess:
    """Runs each run where it is started; some of them break off."""

    def __init__(self, folder: Folder, breaking: tuple[int, ...] = ()) -> None:
        self.folder, self.breaking = folder, breaking
        self.started: list[int] = []
        self.stopped = False
        self._outcomes: deque[Outcome] = deque()

    def start(self, run: int) -> None:
        self.started.append(run)
        if run in self.breaking:
            self._outcomes.append(Outcome(run, broken="it was killed"))
        else:
            self._outcomes.append(Outcome(run, refusal=run_one(self.folder.path, run)))

    def wait(self, seconds: float) -> Outcome | None:
        return self._outcomes.popleft() if self._outcomes else None

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with clouds.npz, and runs in this process."""
    save_clouds(tmp_path, 120)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def runs_here(monkeypatch: pytest.MonkeyPatch, breaking: tuple[int, ...] = ()) -> list[InThisProcess]:
    made: list[InThisProcess] = []

    def executor(folder: Folder, where: str, minutes: int) -> InThisProcess:
        made.append(InThisProcess(folder, breaking))
        return made[-1]

    monkeypatch.setattr(driver, "executor_of", executor)
    return made


def plan(grid: dict[str, object] | None = None, request: Request = SHARED, **search: object) -> Plan:
    return make_plan(request, Search.model_validate(search), grid or GRID)


def test_every_run_ends_in_a_certificate_that_stands_and_the_best_bound_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_here(monkeypatch)
    found = sweep(plan(), here / "s", progress=False)
    assert (found.runs, found.finished, found.left, found.bits) == (4, 4, 0, 0)
    made = [pb.Certificate.load(here / "s" / "certificates" / f"{k:04d}.json") for k in range(1, 5)]
    assert [one.sweep.chosen for one in made if one.sweep is not None] == [0, 1, 2, 3]
    assert len({one.sweep.model_copy(update={"chosen": 0}) for one in made if one.sweep is not None}) == 1
    assert found.best is not None
    assert found.best.bound == min(one.bound.value for one in made)
    lines = [json.loads(line) for line in (here / "s" / "index.jsonl").read_text().splitlines()]
    assert [line["core_digest"] for line in lines] == [one.core_digest for one in made]
    for one in made:
        assert pb.verify(one, data=here / "clouds.npz").require().level == "risk"
    assert list((here / "s" / "runs").glob("*.state*")) == []


def test_what_is_finished_is_not_run_again_and_lost_lines_are_written_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runs_here(monkeypatch, breaking=(1, 2))
    first = sweep(plan(), here / "s", progress=False)
    assert (first.finished, set(first.broken), first.left) == (2, {2, 3}, 0)
    index = here / "s" / "index.jsonl"
    whole = index.read_bytes()
    index.write_bytes(whole[:-20])  # as a kill may leave it: the last line is torn
    made = runs_here(monkeypatch)
    again = sweep(plan(), here / "s", progress=False)
    assert made[0].started == [1, 2]
    assert (again.finished, again.broken) == (4, {})
    lines = Folder(here / "s").lines()
    assert sorted(lines) == [0, 1, 2, 3]
    assert index.read_bytes().startswith(whole[:-20] + b"\n")
    third = sweep(plan(), here / "s", progress=False)
    assert (third.finished, third.best) == (4, again.best)
    assert made[0].started == [1, 2]


def test_a_run_that_is_refused_leaves_the_others_and_says_why(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_here(monkeypatch)
    found = sweep(plan({"step": [5.0, 0.5]}), here / "t", progress=False)
    assert (found.finished, list(found.refused)) == (1, [1])
    assert "step" in found.refused[1]
    (line,) = [line for line in Folder(here / "t").lines().values() if line.refusal]
    assert line.options == {"step": "5.0"}


def test_no_run_starts_after_the_budget_and_the_next_call_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs_here(monkeypatch)
    two = plan({"d": [4, 8]})
    stopped = sweep(two, here / "s", budget=0.0, progress=False)
    assert (made[0].started, made[0].stopped) == ([], True)
    assert (stopped.finished, stopped.left, stopped.best) == (0, 2, None)
    assert sweep(two, here / "s", progress=False).finished == 2


def test_a_folder_of_another_sweep_or_one_that_is_searched_is_refused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_here(monkeypatch)
    sweep(plan(), here / "s", budget=0.0, progress=False)
    with pytest.raises(StateError, match="holds another sweep"):
        sweep(plan({"d": [4, 8]}), here / "s", progress=False)
    save_clouds(here, 120, 1)
    with pytest.raises(StateError, match="holds another sweep"):
        sweep(plan(), here / "s", progress=False)
    with (
        Folder(here / "s").locked("sweep", wait=False),
        pytest.raises(StateError, match="searched by another process"),
        Folder(here / "s").locked("sweep", wait=False),
    ):
        pytest.fail("two processes hold one lock")


def test_a_sample_that_changes_meanwhile_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = runs_here(monkeypatch)
    sweep(plan(), here / "s", budget=0.0, progress=False)
    save_clouds(here, 120, 1)
    assert made[0].started == []
    assert "the sample changed" in str(run_one(here / "s", 0))
    assert not Folder(here / "s").certificate(0).exists()


def priced(folder: Path, seed: int, earlier: int) -> Plan:
    """A grid over two networks of their author's."""
    module = folder / "nets_of_sweep.py"
    module.write_text(
        "from torch import nn\ndef a(): return nn.Sequential(nn.Linear(6, 3))\n"
        "def b(): return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))\n"
    )
    grid: dict[str, object] = {"model": ["nets_of_sweep:a", "nets_of_sweep:b"], "seed": [seed]}
    return plan(grid, earlier_sweeps=earlier)


def test_a_grid_with_a_price_is_numbered_and_paid_and_the_record_knows_of_others(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_here(monkeypatch)
    monkeypatch.syspath_prepend(here)
    assert sweep(priced(here, 0, 0), here / "s0", progress=False).bits == 2  # log2 of 2 combinations times 2

    def price(seed: int, earlier: int = 0) -> int:
        return sweep(priced(here, seed, earlier), here / f"s{seed}", budget=0.0, progress=False).bits

    assert [price(1), price(1), price(2)] == [4, 4, 5]  # of 2 combinations times 6, again 6, 12
    assert price(3, earlier=9) == 8  # the tenth, by the user's word: 2 * 110
    looks = [json.loads(line) for line in (here / "pacbound-looks.jsonl").read_text().splitlines()]
    assert [(look["kind"], look["number"]) for look in looks] == [("sweep", k) for k in (1, 2, 3, 10)]
    certificate = pb.Certificate.load(here / "s0" / "certificates" / "0001.json")
    assert any("counted, says the user" in sentence for sentence in certificate.declarations)
    (paid,) = [entry for entry in certificate.entries if entry.item == "sweep"]
    assert paid.bits == 2


@pytest.mark.usefixtures("brief_posterior")
def test_methods_are_runs_of_a_grid_and_the_message_says_which(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs_here(monkeypatch)
    module, _ = load_model("h4-R-L", (6,), 3)
    save_file(module.state_dict(), here / "trained.safetensors")
    request = Request(model="h4-R-L", data="clouds.npz", checkpoint="trained.safetensors", epochs=2, batch=60)
    found = sweep(plan({"method": ["direct", "auto"]}, request), here / "s", progress=False)
    assert (found.finished, found.refused, found.bits) == (2, {}, 0)
    direct, auto = (pb.Certificate.load(here / "s" / "certificates" / f"000{k}.json") for k in (1, 2))
    assert direct.hypothesis.base.kind == "zero"
    assert auto.methods is not None
    for one in (direct, auto):
        assert [entry.bits for entry in one.entries if entry.item == "sweep"] == [0]
        assert pb.verify(one, data=here / "clouds.npz").require().level == "risk"


def searched(engine: str, grid: SweepRecord) -> list[int]:
    """The order in which an engine asks for all runs where the bound is best at the last of each option."""
    asked: list[int] = []
    search, left, values = engine_of(engine, grid, 3), set(range(len(grid.runs))), {}  # type: ignore[arg-type]
    while left:
        run = search.ask(sorted(left), values)
        left.remove(run)
        asked.append(run)
        values[run] = 1.0 - sum(grid.runs[run]) / 100
    return asked


def test_engines_ask_for_every_run_once_in_an_order_of_their_own() -> None:
    made = plan({"d": list(range(4, 12)), "seed": list(range(8))})
    grid = made.record(0, None, made.texts_of())
    every = list(range(64))
    assert searched("grid", grid) == every
    order = searched("random", grid)
    assert order != every
    assert order == searched("random", grid)
    assert sorted(order) == every


def test_optuna_finds_the_best_early_and_asks_for_every_run_once() -> None:
    pytest.importorskip("optuna", reason="the engine optuna is optional")
    made = plan({"d": list(range(4, 12)), "seed": list(range(8))})
    grid = made.record(0, None, made.texts_of())
    order = searched("optuna", grid)
    assert sorted(order) == list(range(64))
    good = {run for run in range(64) if sum(grid.runs[run]) >= 11}  # ten of 64
    places = [place for place, run in enumerate(order) if run in good]
    assert np.mean(places) < 20, "random search has 31.5 on average"

"""The number of threads is the faster one, within what the machine and the user leave; it is found anew where the
machine changes, kept by a state, and put back; and no count depends on it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import pacbound as pb
from pacbound import threads
from pacbound.networks import passes
from pacbound.threads import control_groups, measured_threads, most_threads, one_thread, quota, tick
from pacbound.training.state import Checkpoint

V2 = "0::{}\n"
V1 = "5:devices:/\n4:cpu,cpuacct:{}\n3:memory:/\n0::/\n"


class Machine:
    """A clock that moves by work alone: `seconds` says how long a step takes on so many threads."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.tried = seconds, 0.0, 0

    def clock(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self.seconds[torch.get_num_threads()]

    def trial(self) -> None:
        self.tried += 1
        self.work()

    def run(self, units: int, kind: str = "training") -> None:
        for _ in range(units):
            self.work()
            tick(kind)


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[int, float]], Machine]]:
    """A machine of four cores, which nothing but torch's number limits."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    monkeypatch.setattr(threads, "cores", lambda: 4)
    monkeypatch.setattr(threads, "quota", lambda: 4.0)

    def make(seconds: dict[int, float]) -> Machine:
        machine = Machine(seconds)
        monkeypatch.setattr(threads, "clock", machine.clock)
        return machine

    yield make
    torch.set_num_threads(before)


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({}, float("inf")),
        ({"proc/self/cgroup": "nonsense\n\n"}, float("inf")),
        ({"proc/self/cgroup": V2.format("/"), "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ({"proc/self/cgroup": V2.format("/"), "sys/fs/cgroup/cpu.max": "max 100000\n"}, float("inf")),
        ({"proc/self/cgroup": V2.format("/a/b"), "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n"}, 4.0),
        (
            {
                "proc/self/cgroup": V2.format("/a/b"),
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/cpu.max": "800000 100000\n",
            },
            2.0,
        ),
        ({"proc/self/cgroup": V2.format("/unseen/here"), "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3.0),
        (
            {
                "proc/self/cgroup": V1.format("/docker/x"),
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": V1.format("/docker/x"),
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu/docker/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu/docker/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        ({"proc/self/cgroup": V2.format("/"), "sys/fs/cgroup/cpu.max": "10000 0\n"}, float("inf")),
        ({"proc/self/cgroup": V2.format("/"), "sys/fs/cgroup/cpu.max": f"{'9' * 400} 100000\n"}, float("inf")),
        ({"proc/self/cgroup": "4:memory:/m\n", "sys/fs/cgroup/memory/m/cpu.max": "100000 100000\n"}, float("inf")),
    ],
)
def test_the_quota_is_the_least_of_all_groups_above(tmp_path: Path, contents: dict[str, str], expected: float) -> None:
    assert quota(files(tmp_path, contents)) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (V2.format("/a/b"), ["a/b", "a", ""]),
        ("4:memory:/m\n5:cpu,cpuacct:/c\n", ["memory/m", "memory"]),
        ("4:freezer:/m\n", []),
    ],
)
def test_memory_has_the_groups_of_its_own_controller(tmp_path: Path, lines: str, expected: list[str]) -> None:
    root = files(tmp_path, {"proc/self/cgroup": lines})
    assert control_groups("memory", root) == tuple(tmp_path / "sys/fs/cgroup" / place for place in expected)


@pytest.mark.parametrize(
    ("torchs", "cores", "cpu", "expected"),
    [(8, 8, float("inf"), 8), (8, 2, 8.0, 2), (8, 8, 3.9, 3), (8, 8, 0.5, 1), (2, 8, 8.0, 2), (1, 8, 8.0, 1)],
)
def test_no_limit_is_exceeded(
    monkeypatch: pytest.MonkeyPatch, torchs: int, cores: int, cpu: float, expected: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: torchs)  # what OMP_NUM_THREADS or set_num_threads said
    monkeypatch.setattr(threads, "cores", lambda: cores)
    monkeypatch.setattr(threads, "quota", lambda: cpu)
    assert most_threads() == expected


def test_cores_are_those_that_this_process_may_run_on_or_all_where_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert threads.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert threads.cores() == 6


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({1: 0.004, 2: 0.4, 4: 0.4}, 1),
        ({1: 0.004, 2: 0.0035, 4: 0.001}, 1),  # little gained: one thread leaves the other core to others
        ({1: 0.004, 2: 0.002, 4: 0.0019}, 2),
        ({1: 0.004, 2: 0.002, 4: 0.001}, 4),
        ({1: 4.0, 2: 2.0, 4: 1.0}, 4),
    ],
)
def test_more_threads_are_taken_where_they_are_clearly_faster(
    four: Callable[[dict[int, float]], Machine], seconds: dict[int, float], chosen: int
) -> None:
    machine = four(seconds)
    with measured_threads(machine.trial):
        assert torch.get_num_threads() == chosen
        with measured_threads(lambda: pytest.fail("the outer one has chosen")):
            assert torch.get_num_threads() == chosen
    assert torch.get_num_threads() == 4


def test_a_first_decision_beside_busy_processes_takes_a_few_steps(
    four: Callable[[dict[int, float]], Machine],
) -> None:
    machine = four({1: 0.003, 2: 0.3, 4: 0.3})
    with measured_threads(machine.trial):
        assert machine.now <= 1.5
    slow = four({1: 60.0, 2: 40.0, 4: 39.0})
    with measured_threads(slow.trial):
        assert slow.tried == 3


def test_a_machine_that_becomes_busy_is_noticed_within_seconds(four: Callable[[dict[int, float]], Machine]) -> None:
    machine = four({1: 0.004, 2: 0.002, 4: 0.001})
    with measured_threads(machine.trial):
        machine.run(10_000)
        tried = machine.tried
        assert torch.get_num_threads() == 4
        machine.seconds = {1: 0.005, 2: 0.2, 4: 0.4}
        began = machine.now
        machine.run(10)
        assert (torch.get_num_threads(), machine.now - began < 10) == (1, True)
        assert machine.tried > tried


def test_a_machine_that_becomes_free_is_noticed_at_little_cost(four: Callable[[dict[int, float]], Machine]) -> None:
    machine = four({1: 0.005, 2: 0.5, 4: 0.5})
    with measured_threads(machine.trial):
        began, tried = machine.now, machine.tried
        machine.run(60_000)
        assert machine.tried - tried < 200
        assert machine.now - began < 1.05 * 300
        machine.seconds = {1: 0.005, 2: 0.0025, 4: 0.00125}
        machine.run(60_000)
        assert torch.get_num_threads() == 4


def test_units_of_another_kind_are_not_taken_for_slow_ones(four: Callable[[dict[int, float]], Machine]) -> None:
    machine = four({1: 0.004, 2: 0.002, 4: 0.001})
    with measured_threads(machine.trial):
        machine.run(1000)
        tried = machine.tried
        machine.seconds = {1: 0.4, 2: 0.2, 4: 0.1}
        machine.run(1000, "counting")
        assert machine.tried == tried


def test_a_run_goes_on_with_the_number_it_noted_unless_that_is_slow_now(
    four: Callable[[dict[int, float]], Machine], tmp_path: Path
) -> None:
    path = tmp_path / "s.state"
    with measured_threads(four({1: 0.004, 2: 0.002, 4: 0.003}).trial, first := Checkpoint(path, "k")):
        first.save({}, force=True)
    with measured_threads(four({1: 0.004, 2: 0.0039, 4: 0.001}).trial, Checkpoint(path, "k")):
        assert torch.get_num_threads() == 2
    again = four({1: 0.004, 2: 0.3, 4: 0.3})
    with measured_threads(again.trial, third := Checkpoint(path, "k")):
        assert torch.get_num_threads() == 1
    assert third.note("threads", lambda: pytest.fail("noted")) == [1]
    torch.set_num_threads(1)
    with measured_threads(lambda: pytest.fail("one thread needs no timing"), Checkpoint(path, "k")):
        assert torch.get_num_threads() == 1


def test_a_number_found_anew_is_noted(four: Callable[[dict[int, float]], Machine], tmp_path: Path) -> None:
    path = tmp_path / "s.state"
    machine, checkpoint = four({1: 0.004, 2: 0.002, 4: 0.001}), Checkpoint(path, "k")
    with measured_threads(machine.trial, checkpoint):
        machine.run(10_000)
        machine.seconds = {1: 0.004, 2: 0.2, 4: 0.4}
        machine.run(100)
        checkpoint.save({}, force=True)
    assert Checkpoint(path, "k").note("threads", lambda: pytest.fail("noted")) == [1]


def test_the_callers_number_comes_back_after_an_error_too(four: Callable[[dict[int, float]], Machine]) -> None:
    machine = four({1: 0.004, 2: 0.002, 4: 0.003})
    seen = []

    @one_thread()
    def work() -> None:
        seen.append(torch.get_num_threads())
        with measured_threads(machine.trial):
            seen.append(torch.get_num_threads())
            with one_thread(always=True):
                machine.run(100_000)
                with measured_threads(lambda: pytest.fail("one thread is asked for")):
                    seen.append(torch.get_num_threads())
            seen.append(torch.get_num_threads())
        seen.append(torch.get_num_threads())
        raise KeyError

    with pytest.raises(KeyError):
        work()
    assert seen == [1, 2, 1, 2, 1]
    assert torch.get_num_threads() == 4


def test_certify_and_verify_leave_the_callers_number_and_count_the_same_on_any(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 3)
    monkeypatch.setattr(threads, "quota", lambda: 3.0)
    monkeypatch.setattr(threads._Choice, "decide", lambda self: self.use(self.most) or self.most)
    used, ask = set(), passes.ask

    def asked(network: passes.Network, x: torch.Tensor) -> torch.Tensor:
        used.add(torch.get_num_threads())
        return ask(network, x)

    monkeypatch.setattr(passes, "ask", asked)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        few = pb.load("digits").subset(torch.arange(200))
        made = pb.certify("h300-R-L", few, request=pb.Request(epochs=1, d=32, encoder="plain"), progress=False)
        assert torch.get_num_threads() == 3
        assert 3 in used
        made.save(tmp_path / "made.json")
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            used.clear()
            seen = pb.verify(tmp_path / "made.json", few)
            assert (seen.failed, torch.get_num_threads(), used) == (None, number, {number})
            assert seen.recount is not None
            assert seen.recount.errors == made.risk.errors
    finally:
        torch.set_num_threads(before)

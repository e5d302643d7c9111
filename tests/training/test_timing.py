"""What a step on many examples takes is known from steps on few, where many take long."""

from collections.abc import Callable

import pytest

from pacbound.training import timing
from pacbound.training.timing import FEW, LONG, seconds_of, within


class Machine:
    """Steps that take some seconds at once and some for each example; the clock is theirs."""

    def __init__(self, once: float, each: float) -> None:
        self.once, self.each, self.now, self.sizes = once, each, 0.0, list[int]()

    def step(self, size: int) -> None:
        self.now += self.once + self.each * size
        self.sizes.append(size)

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], Machine]:
    def made(once: float, each: float) -> Machine:
        found = Machine(once, each)
        monkeypatch.setattr(timing, "time", found)
        return found

    return made


@pytest.mark.parametrize(
    ("once", "each"), [(1e-3, 1e-5), (1e-3, 1e-3), (0.02, 0.02), (0.5, 1e-3), (0.5, 3.0)]
)  # from a step that is quick to one of which four examples take longer than all that is to be timed
@pytest.mark.parametrize("most", [None, 250, 30, 3, 1])
def test_time_grows_from_few_examples_as_that_of_many_does(
    once: float, each: float, most: int | None, machine: Callable[[float, float], Machine]
) -> None:
    timed = machine(once, each)
    found = seconds_of(timed.step, 250, 3, most)
    known = 1 if most == 1 else None  # then nobody knows what a step takes at once
    assert found == pytest.approx(250 * (once + each) if known else once + 250 * each)
    assert max(timed.sizes) <= (250 if most is None else most)
    longest = once + each * max(timed.sizes)
    assert longest <= LONG or max(timed.sizes) <= FEW


def test_all_of_them_are_timed_where_they_are_quick(machine: Callable[[float, float], Machine]) -> None:
    timed = machine(1e-3, 1e-5)
    assert within(timed.step, 100) == 100
    assert timed.sizes == [4, 4, 8, 16, 32, 64]  # 100 more are left to whoever asked
    assert within(machine(0.0, 0.01).step, 100) == 16  # 32 take longer than LONG

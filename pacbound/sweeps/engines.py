"""In which order the runs of a grid are tried. No order changes a price: the whole grid is paid, tried or not."""

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np

from ..certificate.sweep import SweepOption, SweepRecord
from ..errors import RequestError
from .plan import Engine

FEW = 5  # suggestions at random before TPE models what came of them


class Search(Protocol):
    """What chooses the next run."""

    def ask(self, left: Collection[int], values: Mapping[int, float]) -> int:
        """Return one of the runs that are left. values: run -> bound of those that are finished."""


class InOrder:
    """Runs one after the other, in the grid's order or in one drawn beforehand."""

    def __init__(self, order: Collection[int]) -> None:
        """Args: order: all runs."""
        self._place = {run: place for place, run in enumerate(order)}

    def ask(self, left: Collection[int], values: Mapping[int, float]) -> int:
        """Return the first that is left."""
        return min(left, key=self._place.__getitem__)


class Optuna:
    """Ask and tell: TPE suggests values of the grid, and the run that is left and lies nearest to them is the next.

    Numbers are suggested by their rank among the values, so that their order counts; all else is a name.
    """

    def __init__(self, grid: SweepRecord, seed: int) -> None:
        """Raises: RequestError where optuna is missing."""
        try:
            import optuna
        except ImportError:
            raise RequestError(
                "sweep: the engine optuna needs optuna, found none. Install pacbound[sweep], or choose engine = "
                "'random'."
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._grid = grid
        self._ranks = {option.name: _ranks(option) for option in grid.options}
        self._spaces: dict[str, optuna.distributions.BaseDistribution] = {
            option.name: optuna.distributions.CategoricalDistribution(option.values)
            if self._ranks[option.name] is None
            else optuna.distributions.IntDistribution(0, len(option.values) - 1)
            for option in grid.options
        }
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=FEW)
        self._study = optuna.create_study(sampler=sampler, direction="minimize")
        self._told: set[int] = set()

    def ask(self, left: Collection[int], values: Mapping[int, float]) -> int:
        """Tell what is known by now, and return the run next to what is suggested."""
        import optuna

        for run in sorted(set(values) - self._told):
            self._told.add(run)
            self._study.add_trial(
                optuna.trial.create_trial(params=self._place(run), distributions=self._spaces, value=values[run])
            )
        trial = self._study.ask(self._spaces)
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)  # its run is told once it has a bound
        wanted = trial.params
        return min(left, key=lambda run: (self._distance(run, wanted), run))

    def _place(self, run: int) -> dict[str, int | str]:
        """Where a run lies: ranks of numbers, and names."""
        place: dict[str, int | str] = {}
        for name, value in self._grid.values_of(run).items():
            ranks = self._ranks[name]
            place[name] = value if ranks is None else ranks[value]
        return place

    def _distance(self, run: int, wanted: Mapping[str, int | str]) -> float:
        """Ranks as shares of their number; names differ by one or not at all."""
        distance = 0.0
        for name, value in self._place(run).items():
            other, ranks = wanted[name], self._ranks[name]
            if isinstance(value, int) and isinstance(other, int) and ranks is not None:
                distance += abs(value - other) / len(ranks)
            else:
                distance += value != other
        return distance


def _ranks(option: SweepOption) -> dict[str, int] | None:
    """Return value -> its place in the order of numbers; None where one is no number."""
    try:
        ordered = sorted(option.values, key=float)
    except ValueError:
        return None
    return {value: rank for rank, value in enumerate(ordered)}


def engine_of(name: Engine, grid: SweepRecord, seed: int) -> Search:
    """Return the engine of a name."""
    if name == "optuna":
        return Optuna(grid, seed)
    runs = len(grid.runs)
    return InOrder(range(runs) if name == "grid" else np.random.default_rng(seed).permutation(runs).tolist())

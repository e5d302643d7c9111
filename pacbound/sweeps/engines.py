"""In which order the runs of a grid are tried. No order changes a price: all runs of the grid are paid, tried or not."""

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np

from ..certificate.sweep import SweepRecord
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
    """Ask and tell: TPE suggests values of the grid, and the run that is left and shares most of them is the next."""

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
        self._spaces = {
            option.name: optuna.distributions.CategoricalDistribution(option.values) for option in grid.options
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
                optuna.trial.create_trial(
                    params=self._grid.values_of(run), distributions=self._spaces, value=values[run]
                )
            )
        trial = self._study.ask(self._spaces)
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)  # its run is told once it has a bound
        wanted = trial.params
        return min(left, key=lambda run: (self._differing(run, wanted), run))

    def _differing(self, run: int, wanted: Mapping[str, str]) -> int:
        return sum(wanted[name] != value for name, value in self._grid.values_of(run).items())


def engine_of(name: Engine, grid: SweepRecord, seed: int) -> Search:
    """Return the engine of a name."""
    if name == "optuna":
        return Optuna(grid, seed)
    runs = len(grid.runs)
    return InOrder(range(runs) if name == "grid" else np.random.default_rng(seed).permutation(runs).tolist())

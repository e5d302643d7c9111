"""A selection from its first pick to a counted network: how far it goes, what is kept, which round is taken.

Every size of the list is paid for, whichever is taken, so that going on or stopping may look at everything.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..bits.ledger import Ledger
from ..bits.message import pack
from ..bounds.preference import picks
from ..certificate.accounting import complete
from ..certificate.picked import PicksPart, RoundRecord
from ..networks.hypothesis import Hypothesis
from ..networks.risk import evaluate_apart
from ..picking.learner import steps_of
from ..picking.selection import Learned, Round, Selection
from ..request.request import trained_word
from ..specs.picks import PicksSpec, RecipeSpec
from ..specs.specs import HypothesisSpec
from ..training.state import Checkpoint
from .capturing import store_of
from .finish import Finished
from .forecast import Forecast
from .preparation import Setup
from .starting import seconds_to_start

KEPT = 3  # rounds whose networks are kept until they are counted
PATIENCE, WORSE = 3, 1.03  # stop after so many listed sizes in a row that are so much worse than the best
NO_SYMBOLS = np.zeros(0, np.int32)


@dataclass(frozen=True)
class Selected:
    """What a selection left: its most promising rounds, the best first, and how all of them went."""

    best: tuple[Round, ...]
    rounds: tuple[RoundRecord, ...]


def bind(setup: Setup, recipe: RecipeSpec, state: Path | None = None) -> Selection:
    """Bind a selection to theta0 and the sample of a setup. state: of the run, beside which frozen parts are kept.

    Raises: RequestError where its device is not there.
    """
    store, key = store_of(setup, setup.digest, state, "one thread")  # other threads may round otherwise
    return Selection(setup.base.module, setup.train, setup.preprocess, recipe, store, key)


def affordable(selection: Selection, most: int, minutes: float | None) -> int:
    """Return the place of the largest size of at most `most` picks, or of what fits into so many minutes.

    It is found before the first pick: the time of steps and questions is measured on a copy, on some examples.
    """
    places = [place for place, size in enumerate(selection.sizes) if size <= most]
    if minutes is None:
        return places[-1]
    seconds = selection.forecast()
    return max([place for place in places if seconds[place] <= 60 * minutes], default=0)


def forecast_picks(setup: Setup, recipe: RecipeSpec, most: int) -> Forecast:
    """Time a few steps and questions and lay out the ledger of a selection of at most `most` picks. Writes nothing."""
    selection = bind(setup, recipe)
    last = affordable(selection, most, setup.request.budget)
    spec = describe(setup, PicksSpec(recipe=recipe, stop=last, sha256="0" * 64, size=0))
    steps = sum(steps_of(recipe, size) for size in selection.sizes[1 : last + 1])
    return Forecast(
        data=setup.train.name, n=setup.train.n, model=setup.model, D=setup.base.layout.D, d=None,
        epochs=math.ceil(steps * recipe.batch / setup.train.n), batch=recipe.batch,
        seconds=round(seconds_to_start(setup) + selection.forecast()[last], 1), threads=1,
        memory_bytes=setup.train.x.nbytes + 8 * setup.base.layout.D,
        ledger=ledger_of(setup, spec, pack(spec, NO_SYMBOLS)[1]).entries, picks=selection.sizes[last],
    )  # fmt: skip


def describe(setup: Setup, quantizer: PicksSpec) -> HypothesisSpec:
    """Return the description of a network that is made from picks."""
    return HypothesisSpec(
        model=setup.model, layout_digest=setup.base.layout.digest, base=setup.base.origin,
        train=trained_word(setup.request), preprocess=setup.preprocess, layer_scale=False, quantizer=quantizer,
    )  # fmt: skip


def ledger_of(setup: Setup, spec: HypothesisSpec, coded: Ledger) -> Ledger:
    """Return the whole ledger of what the message counts."""
    return complete(
        coded, spec, setup.train.name, setup.digest, methods=max(1, len(setup.methods)), like=setup.data.like,
        repeats=setup.data.repeats, sweep=setup.sweep,
    )  # fmt: skip


def bound_of(setup: Setup, recipe: RecipeSpec) -> Callable[[int, int], float]:
    """Return the bound as a function of picks and of errors outside them: the bits are the same at every stop."""
    spec = describe(setup, PicksSpec(recipe=recipe, stop=0, sha256="0" * 64, size=0))
    bits = ledger_of(setup, spec, pack(spec, NO_SYMBOLS)[1]).bits
    return lambda picked, errors: picks(picked, errors, setup.train.n, bits, setup.request.delta).value


def select(
    selection: Selection,
    last: int,
    checkpoint: Checkpoint,
    progress: bool = True,
    bound: Callable[[int, int], float] | None = None,
) -> Selected:
    """Run a selection up to place `last` of its sizes, or until the sizes are clearly too large.

    bound: of so many picks and errors outside them, which the bar shows.
    Raises: ModelError where the network does not train; StateError where the state is foreign or cannot be written.
    """
    run = _Run(selection, checkpoint)
    for now in selection.rounds(last, run.start, run.keep, progress, bound):
        run.add(now)
        if run.hopeless():
            break
    return Selected(tuple(run.best), run.rounds)


class _Run:
    """The rounds so far, in memory and in the state file."""

    def __init__(self, selection: Selection, checkpoint: Checkpoint) -> None:
        """Start, or go on from what the checkpoint holds."""
        self.n, self.checkpoint = selection.examples.n, checkpoint
        self.table: list[tuple[int, int, int, int]] = []  # stop or -1, picked, asked, wrong
        self.best: list[Round] = []
        self.sums: list[float] = []  # |T| and the errors left, at each listed size
        self.start: Learned | None = None
        saved = checkpoint.load()
        if saved is None:
            return
        picked = saved["picked"].numpy()
        for stop, size, asked, wrong in saved["rounds"].tolist():
            network = saved.get(f"network {size}", torch.zeros(0, dtype=torch.uint8))
            self.add(Round(None if stop < 0 else stop, picked[:size], asked, wrong, network.numpy().tobytes()))
        self.start = Learned(picked, int(saved["before"]), saved["network"].numpy().tobytes())

    def add(self, now: Round) -> None:
        """Note a round, and keep its network while it is among the best."""
        self.table.append((-1 if now.stop is None else now.stop, len(now.picked), now.asked, now.wrong))
        if now.stop is not None:
            self.sums.append(self._sum(now))
            self.best = sorted([*self.best, now], key=self._sum)[:KEPT]

    def keep(self, learned: Learned) -> None:
        """Save what an interrupted run needs."""
        networks = {f"network {len(one.picked)}": one.network for one in self.best}
        tensors = {name: torch.frombuffer(bytearray(raw), dtype=torch.uint8) for name, raw in networks.items()}
        self.checkpoint.save(
            {
                **tensors,
                "network": torch.frombuffer(bytearray(learned.network), dtype=torch.uint8),
                "picked": torch.from_numpy(learned.picked),
                "before": torch.tensor(learned.before),
                "rounds": torch.tensor(self.table, dtype=torch.int64),
            }
        )

    def hopeless(self) -> bool:
        """Whether the last listed sizes were all clearly worse than the best one."""
        latest = self.sums[-PATIENCE:]
        return len(latest) == PATIENCE and min(latest) > WORSE * min(self.sums)

    @property
    def rounds(self) -> tuple[RoundRecord, ...]:
        """The rounds as a certificate lists them: those at which the selection may stop, which are at most 65."""
        return tuple(
            RoundRecord(picked=size, asked=asked, wrong=wrong) for stop, size, asked, wrong in self.table if stop >= 0
        )

    def _sum(self, one: Round) -> float:
        return len(one.picked) + one.left(self.n)


def best_round(selection: Selection, selected: Selected) -> Round:
    """Return the round of the fewest picks and errors together, the errors of each counted on all other examples."""
    return min(selected.best, key=lambda one: len(one.picked) + selection.wrong_outside(one))


def finish_picked(
    setup: Setup, selection: Selection, one: Round, selected: Selected, progress: bool = True
) -> Finished:
    """Describe a round, count the errors of its network inside and outside T, complete the ledger, apply the theorem.

    Raises: ModelError where the network is no function of one input.
    """
    assert one.stop is not None
    network = selection.file_of(one)
    sha256 = hashlib.sha256(network).hexdigest()
    spec = describe(setup, PicksSpec(recipe=selection.recipe, stop=one.stop, sha256=sha256, size=len(network)))
    message, _ = pack(spec, NO_SYMBOLS)
    hypothesis = Hypothesis.unpack(message.payload, spec, setup.base, network)
    risk, errors = evaluate_apart(hypothesis, setup.train, one.picked, progress)
    ledger = ledger_of(setup, spec, hypothesis.ledger)
    part = PicksPart.of(one.picked, errors, setup.train.n, selected.rounds)
    bound = picks(part.picked, part.errors, risk.n, ledger.bits, setup.request.delta)
    return Finished(spec, message, hypothesis, risk, ledger, bound, network, part)

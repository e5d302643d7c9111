"""Pick-to-learn: append misclassified examples to T, learn from T, until nothing is left to pick or the list ends.

Campi and Garatti 2023, JMLR 24 (339); Paccagnan, Campi and Garatti 2023, "The pick-to-learn algorithm". Every round
is a function of the network before it and of T, which is kept after every round: a run that was killed goes on and
ends with the same bits.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..certificate.picked import RoundRecord
from ..certificate.statement import percent_up
from ..data.examples import Examples
from ..data.preprocess import preprocessed
from ..errors import ModelError, first_line
from ..models.others import private_copy
from ..networks.captured import CHECKED, Frozen, capture, frozen_before, put_back
from ..networks.frozen import freeze_network, thaw_network
from ..networks.risk import zero_one
from ..progress import hidden, tqdm
from ..specs.picks import END, RecipeSpec, sizes
from ..specs.specs import PreprocessSpec
from .learner import deterministic, device_of, learn, ready, steps_of
from .order import group_of, priorities, values_of

BATCH = 100  # examples asked at once, always: the last ones are filled up, so that a batch has one shape
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"  # fits into 80 columns
TAIL = 10_000  # examples that the errors left are estimated from, where not all others are asked


@dataclass(frozen=True)
class Round:
    """A network, the T that it was made from, and what it says of the others, before more of them are picked.

    stop: where a selection that ends here stops, None between two sizes of the list. picked: T, (t,), in order. asked,
    wrong: of the others, all or the last of the order of picking, so many were counted and misclassified. network: its
    file.
    """

    stop: int | None
    picked: NDArray[np.int64]
    asked: int
    wrong: int
    network: bytes

    def left(self, n: int) -> float:
        """Errors outside T of n examples: counted where all others were asked, else estimated from those that were."""
        return self.record.left(n)

    @property
    def record(self) -> RoundRecord:
        """The round as a certificate lists it."""
        return RoundRecord(picked=len(self.picked), asked=self.asked, wrong=self.wrong)

    def in_words(self, n: int, bound: Callable[[int, int], float] | None = None) -> str:
        """Say what is left of n examples and, where it could stop now, the bound; ~ marks what is estimated."""
        left, about = round(self.left(n)), "" if self.asked == n - len(self.picked) else "~"
        words = f"{about}{left:,} errors left"
        if bound is None or self.stop is None:
            return words
        return f"{words}, bound {about}{percent_up(bound(len(self.picked), left))}"


@dataclass(frozen=True)
class Learned:
    """What an interrupted selection needs to go on: T, its size before the last learning, and the network's file."""

    picked: NDArray[np.int64]
    before: int
    network: bytes


class Selection:
    """The selection of one recipe on one sample; `rounds` runs it.

    module: theta0, which is not touched; it reads preprocessed inputs. Where all before its trained part is frozen and
    nothing is augmented, what reaches that part is computed once, and the selection is about the part.
    """

    def __init__(
        self,
        module: nn.Module,
        examples: Examples,
        preprocess: PreprocessSpec,
        recipe: RecipeSpec,
        store: Path | None = None,
        key: str = "",
    ) -> None:
        """Bind what the selection is a function of; store, key: of what reaches the trained part, as `capture` has it.

        Raises: RequestError where the recipe's device is not there.
        """
        self.examples, self.preprocess, self.recipe = examples, preprocess, recipe
        self.sizes = sizes(recipe, examples.n)
        self.device = device_of(recipe)
        self.whole = self.theta0 = private_copy(module)
        self.order = priorities(examples, recipe.seed)
        self.store, self.key = store, key
        self.captured: Tensor | None = None
        self.frozen: Frozen | None = None
        if recipe.augmentation == "none":  # what is augmented goes through the whole network each time
            found = frozen_before(self.whole, examples.x[: max(CHECKED)], preprocess)
            if isinstance(found, Frozen):
                self.frozen, self.theta0 = found, found.part()

    def rounds(
        self,
        last: int = END,
        start: Learned | None = None,
        keep: Callable[[Learned], None] = lambda learned: None,
        progress: bool = True,
        bound: Callable[[int, int], float] | None = None,
    ) -> Iterator[Round]:
        """Yield the rounds, up to the one that stops at place `last` of the sizes, or where nothing is left to pick.

        Args: start: of an interrupted run. keep: called after every learning with what such a run needs. progress:
            whether a bar is shown, on a terminal. bound: of so many picks and errors outside them, for the bar alone.
        Raises: ModelError where the network does not train on these examples, or its file is another network's.
        """
        if self.frozen is not None:
            with deterministic():
                self.captured = capture(self.frozen, self.examples.x, self.store, self.key, progress).x
        picked, before, network = np.zeros(0, np.int64), -1, freeze_network(self.theta0)
        if start is not None:
            picked, before, network = start.picked, start.before, start.network
        total = self.sizes[min(last, len(self.sizes) - 1)]
        bar = tqdm(total=total, initial=len(picked), desc="picks", bar_format=BAR, disable=hidden(progress))
        with bar:
            while True:
                place = self._place(len(picked))
                target = self.sizes[place + 1] if place + 1 < len(self.sizes) else self.examples.n
                group, asked, wrong = self._ask(self._thawed(network), picked, target - len(picked))
                stop = END if not len(group) else place if self._place(before) < place else None
                now = Round(stop, picked, asked, wrong, network)
                if not bar.disable:
                    bar.set_postfix_str(now.in_words(self.examples.n, bound))
                yield now
                if stop == END or place >= last:
                    return
                picked, before = np.concatenate([picked, group]), len(picked)
                network = self._learned(self._thawed(network), picked)
                bar.update(len(group))
                keep(Learned(picked, before, network))

    def wrong_outside(self, one: Round) -> int:
        """Count what the network of a round misclassifies outside its T, all others asked."""
        return self._ask(self._thawed(one.network), one.picked, self.examples.n)[2]

    def file_of(self, one: Round) -> bytes:
        """Return the file of the whole network of a round."""
        if self.frozen is None:
            return one.network
        return freeze_network(put_back(self.whole, self._thawed(one.network)))

    def forecast(self) -> tuple[float, ...]:
        """Return the seconds up to each size of the list, every other example asked in every round.

        The time of a step and of a question is measured on a copy of theta0, on the first examples by order.
        """
        network, rows = freeze_network(self.theta0), self.order[: self.recipe.batch]
        first = 0.0
        with deterministic():
            if self.frozen is not None:
                started = time.perf_counter()
                reached = self.frozen.inputs(self.examples.x[:BATCH])
                first = (time.perf_counter() - started) / len(reached) * self.examples.n
                self.captured = reached[:1].expand(self.examples.n, *reached.shape[1:])
            started = time.perf_counter()
            self._answers(self._thawed(network), self.order[:BATCH])
            asked = time.perf_counter()
            self._learned(self._thawed(network), rows)
            learned = time.perf_counter()
        self.captured = None  # what stood there was one example's
        question, step = (asked - started) / BATCH, (learned - asked) / steps_of(self.recipe, len(rows))
        seconds = [first]
        for size in self.sizes[1:]:
            seconds.append(seconds[-1] + step * steps_of(self.recipe, size) + question * self.examples.n)
        return tuple(seconds)

    def _inputs(self, rows: Tensor) -> Tensor:
        """Return what these examples (m,) are to theta0's module."""
        if self.captured is not None:
            return self.captured[rows]
        x = self.examples.x[rows]
        return preprocessed(x, self.preprocess) if self.frozen is None else self.frozen.inputs(x)

    def _place(self, size: int) -> int:
        """Place of the largest size of the list that is not above this one, -1 below all."""
        return bisect_right(self.sizes, size) - 1

    def _thawed(self, network: bytes) -> nn.Module:
        """Return theta0's module with the tensors of a file: nothing that it was asked before leaves a trace in it."""
        module = private_copy(self.theta0)
        thaw_network(module, network)
        module = module.to(self.device)
        return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @deterministic()
    def _ask(self, module: nn.Module, picked: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], int, int]:
        """Return the next group of about `size`, in order, how many were counted, and how many of these are wrong.

        By priority the first `size` of the order are found without asking the others; those that are counted are then
        the last TAIL of it, which no group has been taken from.
        """
        rest = self.order[~np.isin(self.order, picked)]
        found: list[NDArray[np.int64]] = []
        values: list[Tensor] = []
        wrong = 0
        for start in range(0, len(rest), BATCH):
            rows = rest[start : start + BATCH]
            losses, value = self._answers(module, rows)
            missed = rows[losses.numpy() > 0]
            found.append(missed)
            values.append(value[losses > 0])
            wrong += len(missed)
            if self.recipe.order == "priority" and wrong >= size and len(rest) - start - BATCH > TAIL:
                return np.concatenate(found)[:size], TAIL, self._count(module, rest[-TAIL:])
        if not wrong:
            return np.zeros(0, np.int64), len(rest), 0
        group = np.concatenate(found)
        if self.recipe.order == "priority":
            return group[:size], len(rest), wrong
        ascending, order = torch.cat(values).sort(stable=True)
        taken = order[: group_of(ascending, size)].sort().values  # inside a group by priority
        return group[taken.numpy()], len(rest), wrong

    def _count(self, module: nn.Module, rows: NDArray[np.int64]) -> int:
        """Count which of these rows a module misclassifies."""
        batches = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
        return sum(int(self._answers(module, some)[0].sum()) for some in batches)

    @torch.no_grad()
    def _answers(self, module: nn.Module, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return the 0-1 losses and what else orders these rows (m,), each (m,), on the CPU."""
        filled = torch.from_numpy(np.resize(rows, BATCH))
        x = ready(self._inputs(filled).to(self.device))
        logits = module(x).float().cpu()[: len(rows)]
        y = self.examples.y[filled[: len(rows)]]
        return zero_one(logits, y), values_of(self.recipe.order, logits, y)

    @deterministic()
    def _learned(self, module: nn.Module, picked: NDArray[np.int64]) -> bytes:
        """Return the file of what the learner makes of a module by T, (t,) in order."""
        rows = torch.from_numpy(picked)
        x = self._inputs(rows).to(self.device)
        try:
            learn(module, x, self.examples.y[rows].to(self.device), self.recipe)
        except (RuntimeError, ValueError) as cause:  # of torch, in somebody else's network
            raise ModelError(
                f"picks: the network trains on batches of {self.recipe.batch} or fewer, got for {len(rows)} examples "
                f"the error {first_line(cause)!r}."
            ) from cause
        return freeze_network(module)

"""Ask a network about every input more than once, in other company each time: is it a function of one input?

A bound is about new inputs that come one at a time. A network that looks at its neighbours in a batch, at its place
there or at the size of the batch can look good on a sample and be wrong on every single input.

Several processes divide the batches, which are those of one process, so that the answers are too: each is told all.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..data.mapped import give_back
from ..data.mixed import Raw
from ..data.preprocess import Treated
from ..distributed import each
from ..errors import DataError, ModelError, first_line
from ..progress import hidden, tqdm
from ..subspace.random import permutation
from ..threads import measured_threads, tick

T = TypeVar("T")

Network = Callable[[Raw], Tensor]
TIE = 1e-4  # logits within this share of the largest magnitude of their row count as tied
BATCH = 500
OTHER_BATCH = 384
LEAST_BATCH = 4
HELD_BYTES = 1 << 24  # of a result at most; from 32 MiB on malloc maps pages anew each time, which takes longest
ALONE = 1000  # inputs asked one by one
PROBED = 64  # inputs, to find how many threads answer fastest
FEW = 8  # of them beforehand
SHAKY = 0.01  # of the inputs at most, or one, may get other logits in other company; each counts as an error
SEED = 0  # of the order of the second pass, and of the inputs asked one by one


@dataclass(frozen=True)
class Reading:
    """Logits (n, classes) of the inputs at `rows` (n,), asked `batch` at a time; `before`: what the first pass said.

    shaky: (n,) where these differ by more than rounding of a clear answer does.
    """

    rows: Tensor
    logits: Tensor
    before: Tensor
    batch: int
    shaky: Tensor


def batch_for(network: Callable[..., object], x: Raw | Treated) -> int:
    """Return how many inputs of x (n, ...) are asked about at once: 500, or fewer where these make large results.

    No result of an operation of torch, as far as it grows with the batch, exceeds 16 MiB; four inputs at least.
    Raises: ModelError where the network does not answer.
    """
    return asked_at_once(largest_result(network, x))


def largest_result(network: Callable[..., object], x: Raw | Treated) -> int:
    """Return the bytes by which the largest result of an operation of torch grows with each input of x (n, ...).

    Raises: ModelError where the network does not answer.
    """
    one, two = (_result_bytes(network, x[torch.arange(count) % len(x)]) for count in (1, 2))
    return max((after - before for before, after in zip(one, two, strict=False)), default=0)


def asked_at_once(result_bytes: int) -> int:
    """Return how many inputs are asked about at once whose largest result has so many bytes for each of them."""
    return max(LEAST_BATCH, min(BATCH, HELD_BYTES // max(result_bytes, 1)))


def readings(
    network: Network, x: Raw, progress: bool = True, shaky: float = SHAKY, batch: int = BATCH
) -> Iterator[Reading]:
    """Ask about inputs x (n, ...) three times: in order, in another order by another batch size, and one by one.

    The third pass asks about 1,000 inputs, all where n is smaller. Orders come from `subspace.random`, seed 0. The
    first asks about `batch` inputs at a time, the second about 384 of 500 times as many.

    shaky: share of the inputs, or one where it is not 0, whose logits may differ by more than is said below, as where
    terms cancel, so that rounding is no small part of what is left. Whoever counts takes them for errors; and where
    there is one the third pass asks about every input, so that each has the loss of its answer alone, or a larger one.

    Why half of a row's tie margin: let m = 1e-4 max |z| be the margin of a row's logits z, so that z counts as right
    only where its label leads by more than m. If no logit of another pass z' is further than m/2 from z, a lead above m
    in z is a lead above m - 2 (m/2) = 0 in z': the label wins there too. So a row that counts as right in every pass
    that saw it is right whichever of these ways it is asked; rounding moves logits by about 1e-6 of them and passes.

    Raises: ModelError where more rows' logits differ by more than that, or are finite in one pass only, or where the
        network does not answer batches of some size.
    """
    n = len(x)
    known = torch.empty(0)
    for rows, logits in _answers(network, x, torch.arange(n), batch, "counting", progress):
        if not len(known):  # all at once: what is kept of each batch would keep the next from its place in memory
            known = logits.new_empty(n, logits.shape[1])
        known[rows] = logits
        yield Reading(rows, logits, logits, batch, torch.zeros(len(rows), dtype=torch.bool))
    order = torch.from_numpy(permutation(SEED, "networks/passes/order", n))
    alone = torch.from_numpy(permutation(SEED, "networks/passes/alone", n))
    found = torch.zeros(n, dtype=torch.bool)

    def again(chosen: Tensor, size: int) -> Iterator[Reading]:
        for rows, logits in _answers(network, x, chosen, size, "counting again", progress):
            before = known[rows]
            differing = _differing(before, logits)
            found[rows] |= differing
            _refuse_many(found, shaky)
            yield Reading(rows, logits, before, size, differing)

    yield from again(order, batch * OTHER_BATCH // BATCH)
    yield from again(alone[:ALONE], 1)
    if bool(found.any()):
        yield from again(alone[ALONE:], 1)


def asking(network: Network, x: Raw) -> AbstractContextManager[None]:
    """Ask with as many threads as answer some inputs of x (n, ...) fastest."""
    return measured_threads(lambda: ask(network, x[:PROBED]))


def check_deterministic(network: Network, x: Raw) -> None:
    """Refuse early, on the first batch of x (n, ...), what is no function of one input. Raises: ModelError."""
    x = x[: batch_for(network, x)]
    first = ask(network, x)
    if not torch.allclose(first, ask(network, x), rtol=0, atol=0, equal_nan=True):
        raise ModelError("evaluate: the network gives two answers to one input. Remove its randomness in eval mode.")
    alone = torch.cat([ask(network, row) for row in x[:FEW].split(1)])
    _refuse_many(_differing(first[:FEW], alone), SHAKY)
    backwards = torch.arange(len(x)).flip(0)
    _refuse_many(_differing(first, ask(network, x[backwards]).flip(0)), SHAKY)


def _answers(
    network: Network, x: Raw, chosen: Tensor, batch: int, name: str, progress: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Ask about the rows chosen, `batch` at a time; return some rows (m,) after others with their logits (m, classes).

    Every row comes up once, whichever process asked about it.
    """
    groups = chosen.split(max(batch, OTHER_BATCH)) if len(chosen) else ()  # torch splits nothing into one empty part

    def logits(rows: Tensor) -> Tensor:
        return torch.cat([ask(network, x[asked]) for asked in rows.split(batch)])

    for answer in zip(tqdm(groups, desc=name, disable=hidden(progress), delay=2), each(groups, logits), strict=True):
        yield answer
        tick(name)
        give_back()


class _Results(TorchDispatchMode):
    """Notes the bytes of what each operation of torch returns."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and to skip its compiler torch would import it, for a second

    def __init__(self) -> None:
        super().__init__()
        self.bytes: list[int] = []

    def __torch_dispatch__(  # type: ignore[no-untyped-def]
        self, func, types, args=(), kwargs=None
    ):
        made = func(*args, **(kwargs or {}))
        dense = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor) and leaf.layout == torch.strided]
        self.bytes.append(max((leaf.nbytes for leaf in dense), default=0))  # others do not say how large they are
        return made


def _result_bytes(network: Callable[..., object], x: Raw | Treated) -> list[int]:
    with _Results() as results:
        _tried(network, x)
    return results.bytes


def _tried(network: Callable[..., T], x: Raw | Treated) -> T:
    try:
        return network(x)
    except DataError:  # an input cannot be read
        raise
    except Exception as cause:  # whatever a user's own network raises
        raise ModelError(
            f"evaluate: the network answers batches of any size, got for {len(x)} the error {first_line(cause)!r}. "
            "Freeze batch statistics."
        ) from cause


def ask(network: Network, x: Raw) -> Tensor:
    """Return the logits (batch, classes) of inputs x (batch, ...). Raises: ModelError where there are none."""
    logits = _tried(network, x)
    if logits.ndim != 2 or len(logits) != len(x):
        raise ModelError(
            f"evaluate: the network returns logits (batch, classes), got {tuple(logits.shape)} for a batch of "
            f"{len(x)}. Return one row an input."
        )
    return logits


def _differing(one: Tensor, other: Tensor) -> Tensor:
    """Which rows of two answers (batch, classes) to the same inputs differ by more than half a tie margin, (batch,)."""
    if one.shape != other.shape:
        return torch.ones(len(one), dtype=torch.bool)
    here, there = one.double(), other.double()
    finite = torch.isfinite(here).all(1) & torch.isfinite(there).all(1)
    margin = TIE * torch.minimum(here.abs().amax(1), there.abs().amax(1))
    far = ~((here - there).abs().amax(1) <= margin / 2)
    return torch.where(finite, far, torch.isfinite(here).all(1) != torch.isfinite(there).all(1))


def _refuse_many(differing: Tensor, shaky: float) -> None:
    """Refuse a network of which more inputs (n,) differ than may. Raises: ModelError."""
    count = int(differing.sum())
    if count > (max(1, int(shaky * len(differing))) if shaky else 0):
        raise ModelError(
            "evaluate: an answer depends on the other inputs of its batch: asked in other company, "
            f"{count} of {len(differing):,} inputs get logits that differ by more than {TIE / 2:g} of their largest "
            "magnitude. Freeze batch statistics, and let the network treat its inputs one by one."
        )

"""One run in several processes: torchrun starts them, torch.distributed joins them, and they go through it as one.

Every process runs the same program. What is dear is divided among them: batches in training, chunks of the curvature,
batches of what is counted. What a file, a clock or the rounding of one machine could decide otherwise is decided by
process 0, which tells the others. A process by itself divides nothing and is told nothing: the way is the same.
"""

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from .errors import PacboundError, ProcessError, RequestError, first_line

Item = TypeVar("Item")
Made = TypeVar("Made")
Outcome = tuple[Made | None, PacboundError | None]

PATIENCE = timedelta(days=7)  # of those that wait while process 0 rounds, diagonalises or trains theta0
REFUSALS = "pacbound/refusals"  # how many processes have ended with an error, in the store that all of them read
HELD_SECONDS = 5.0
STATUS = 2  # of a process that ends because another one has said why


@dataclass(frozen=True)
class _World:
    """Which of how many processes this one is."""

    rank: int = 0
    size: int = 1


_ALONE = _World()
_WORLD: ContextVar[_World] = ContextVar("world", default=_ALONE)


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Join the processes that RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT tell of, as torchrun sets them.

    Only process 0 prints; the first that ends with an error raises it, and the others leave without a word.
    Raises: ProcessError where they do not find each other.
    """
    store, world = _met()
    token = _WORLD.set(world)
    try:
        with _silence() if world.rank else contextlib.nullcontext():
            yield
    except Exception as cause:
        said = _said_before(store)
        _hold(store, world)
        if said:
            sys.exit(STATUS)
        if world.rank and isinstance(cause, PacboundError):
            raise type(cause)(f"{cause} (process {world.rank} of {world.size})") from None
        raise
    except SystemExit:  # of all of them alike
        dist.destroy_process_group()
        raise
    else:
        dist.destroy_process_group()
    finally:
        _WORLD.reset(token)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with (
        open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing),
    ):  # fmt: skip
        yield


def _met() -> tuple[dist.Store, _World]:
    """Join the others; say where to find each other, and which process of the job this is."""
    try:
        store, rank, size = next(dist.rendezvous("env://"))
        store = dist.PrefixStore(_attempt(), store)
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as cause:
        raise ProcessError(
            "torch.distributed: processes find each other by RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, got: "
            f"{first_line(cause)}. Start them by torchrun."
        ) from None
    return store, _World(rank, size)


def _attempt() -> str:
    """Where this start of the processes keeps its words in the store, apart from those of an earlier start.

    torchrun on one machine keeps its store when it starts them again, with what the lost ones left there; on several
    each start has a store of its own, and the machines count their starts otherwise.
    """
    alone = os.environ.get("GROUP_WORLD_SIZE", "1") == "1"
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if alone else "0"


def _said_before(store: dist.Store) -> bool:
    """Whether another process has ended with an error before this one."""
    try:
        return store.add(REFUSALS, 1) > 1
    except RuntimeError:  # the store went with the process that held it
        return False


def _hold(store: dist.Store, world: _World) -> None:
    """Keep the store of process 0, where no launcher holds it, for the others to see that the error has been said."""
    if world.rank or dist.is_torchelastic_launched():
        return
    dist.destroy_process_group()  # wakes those that wait for this process
    until = time.monotonic() + HELD_SECONDS
    while store.add(REFUSALS, 0) < world.size and time.monotonic() < until:
        time.sleep(0.05)


def processes() -> int:
    """Return how many processes go through this run together; 1 outside `together`."""
    return _WORLD.get().size


def leads() -> bool:
    """Whether this is process 0, which decides, writes and prints."""
    return _WORLD.get().rank == 0


def starts_again() -> bool:
    """Whether torchrun has been told to start these processes again, where one is lost, so that a run goes on."""
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


def refuse_several(what: str) -> None:
    """Refuse what is not divided among processes. Raises: RequestError."""
    if processes() > 1:
        raise RequestError(
            f"certify: {what} runs in one process, got {processes()}. Start it without torchrun; method subspace on "
            "classification data is what several processes divide."
        )


def first(make: Callable[[], Made]) -> Made:
    """Return what process 0 makes, by itself; where it refuses, all do."""
    world = _WORLD.get()
    if world.size == 1:
        return make()
    told: list[Outcome[Made] | None] = [_tried(make) if world.rank == 0 else None]
    _exchange(functools.partial(dist.broadcast_object_list, told, src=0))
    return _settled(told[0])


def each(items: Sequence[Item], act: Callable[[Item], Made]) -> Iterator[Made]:
    """Yield act(item) of every item in order, worked out by one process each and told to all.

    Raises: what act raises of PacboundError, in every process.
    """
    world = _WORLD.get()
    if world.size == 1:
        yield from map(act, items)
        return
    for start in range(0, len(items), world.size):
        group = items[start : start + world.size]
        own = _tried(functools.partial(act, group[world.rank])) if world.rank < len(group) else None
        told: list[Outcome[Made] | None] = [None] * world.size
        _exchange(functools.partial(dist.all_gather_object, told, own))
        yield from (_settled(outcome) for outcome in told[: len(group)])


def alike(act: Callable[[], Made]) -> Made:
    """Return what each process makes, by itself; where one refuses, all refuse."""
    world = _WORLD.get()
    if world.size == 1:
        return act()
    made, refusal = _tried(act)
    told: list[PacboundError | None] = [None] * world.size
    _exchange(functools.partial(dist.all_gather_object, told, refusal))
    return _settled((made, next((each for each in told if each is not None), None)))


def share(items: Tensor) -> Tensor:
    """Return this process's part of items (m, ...): the parts are disjoint, whole together, and as long as can be."""
    world = _WORLD.get()
    return items.tensor_split(world.size)[world.rank]


def slices(count: int, size: int) -> list[slice]:
    """Cut 0 .. count - 1 into pieces of a size, the last of which may be smaller; into an empty one where it is 0."""
    return [slice(start, min(start + size, count)) for start in range(0, max(count, 1), size)]


def turns(count: int) -> range:
    """Return which of so many pieces of work, from 0, are this process's."""
    world = _WORLD.get()
    return range(world.rank, count, world.size)


def summed(tensor: Tensor, device: torch.device | None = None) -> Tensor:
    """Return the sum of every process's tensor. device: where it is added up, by nccl on a GPU; by default its own."""
    if processes() == 1:
        return tensor
    total = tensor.to(device or tensor.device, copy=True)
    _exchange(functools.partial(dist.all_reduce, total))
    return total.to(tensor.device)


def over(until: float) -> bool:
    """Whether a moment of time.monotonic() has passed for process 0; no word is needed about one that never does."""
    return until < math.inf and first(lambda: time.monotonic() > until)


def refuse_differing(what: str, digest: str) -> None:
    """Refuse processes that do not hold the same. Raises: ProcessError."""
    if digest != first(lambda: digest):
        raise ProcessError(
            f"torch.distributed: every process holds the same {what}, got another one than process 0. Give all of them "
            "the same files and options."
        )


def _tried(make: Callable[[], Made]) -> Outcome[Made]:
    """What this process makes by itself: it does not wait for others in there."""
    token = _WORLD.set(_ALONE)
    try:
        return make(), None
    except PacboundError as refusal:
        return None, refusal
    finally:
        _WORLD.reset(token)


def _settled(outcome: Outcome[Made] | None) -> Made:
    assert outcome is not None
    made, refusal = outcome
    if refusal is not None:
        raise refusal
    return made  # type: ignore[return-value]


def _exchange(act: Callable[[], object]) -> None:
    """Talk to the others. Raises: ProcessError where one of them is gone."""
    try:
        act()
    except RuntimeError as cause:
        raise ProcessError(
            "torch.distributed: all processes work to the end, got one that was lost "
            f"({first_line(cause).partition('. ')[0]}). Go on with --resume, or let torchrun start them again by "
            "--max-restarts."
        ) from None

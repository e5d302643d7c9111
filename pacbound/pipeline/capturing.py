"""Where all before the trained part is frozen: what reaches it is computed once, and training runs on that."""

import hashlib
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..data.preprocess import WHOLE_BYTES
from ..networks.captured import CHECKED, STAGE, Captured, Frozen, capture, frozen_before
from ..networks.passes import batch_for
from ..stages import clocked
from ..subspace.layout import frozen_digest
from ..training.timing import LONG, median_seconds, within
from .memory import limit_bytes
from .preparation import Setup

LOG = logging.getLogger("pacbound")
TIMED_BYTES, TIMED_ALONE = 1 << 26, 5
MOST_SHARE = 0.5  # of the memory of this process for maps that are computed again by every run, and held there


def frozen_of(setup: Setup, front: bool = False) -> Frozen | str:
    """Return the network cut before its trained part; or, in words, why all of it runs in training.

    front: whether features without parameters count, whose images nobody changes in training.
    """
    return frozen_before(setup.base.module, setup.train.x[: max(CHECKED)], setup.preprocess, front)


@dataclass(frozen=True)
class Reached:
    """What reaches the trained part of a setup, of some examples, and the seconds that one takes to get there: among
    others, and alone. The setup as it is, and 0, where the whole network runs in training."""

    setup: Setup
    each: float = 0.0
    alone: float = 0.0


def timed(setup: Setup, examples: int) -> Reached:
    """Time what is frozen, or features, on so many examples, or on fewer where they take long.

    These stand there repeatedly then, up to so many, as far as TIMED_BYTES hold them.
    """
    frozen = frozen_of(setup, front=True)
    if isinstance(frozen, str) or (dtype := _held_as(setup, frozen)) is None:
        return Reached(setup)
    few = setup.train.x[:examples]
    count = within(lambda count: frozen.inputs(few[:count]), min(len(few), batch_for(frozen.inputs, few)))
    started = time.perf_counter()
    x = frozen.inputs(few[:count]).to(dtype)
    each = (time.perf_counter() - started) / count
    alone = median_seconds(lambda _: frozen.inputs(few[:1]), 1 if each > LONG else TIMED_ALONE)
    held = max(len(x), min(examples, setup.train.n, TIMED_BYTES // x[:1].nbytes))
    captured = Captured(frozen.part(), x[torch.arange(held) % len(x)])
    return Reached(replace(setup, captured=captured), each, alone)


def with_captured(setup: Setup, state: Path | None, progress: bool = True) -> Setup:
    """Compute what reaches the trained part, where all before it is frozen or features; else return the setup as it is.

    state: of the run, beside which the result of a frozen part is kept: it serves every run with the same sample and
    frozen part. Features are computed in no time, and not kept.
    Raises: StateError where it cannot be written.
    """
    frozen = frozen_of(setup, front=True)
    fixed = _fixed(setup)
    if isinstance(frozen, str):
        if not fixed:
            LOG.info("the whole network runs at every step of training: %s", frozen)
        return setup
    dtype = _held_as(setup, frozen)
    if dtype is None:
        LOG.info("features are computed at every step of training: those of all examples take too much memory")
        return setup
    store, key = (None, "") if fixed else store_of(setup, setup.digest, state)
    with clocked(STAGE):
        return replace(setup, captured=capture(frozen, setup.train.x, store, key, progress, dtype))


def _fixed(setup: Setup) -> bool:
    """Whether nothing but features stands before the trained part."""
    return all(parameter.requires_grad for parameter in setup.base.module.parameters())


def _held_as(setup: Setup, frozen: Frozen) -> torch.dtype | None:
    """What training holds captured inputs in, which it always does behind a frozen part; None where it does not.

    Features, which are many times as large as images, are held in float16 beyond WHOLE_BYTES, and not at all where
    memory is not enough.
    """
    if not _fixed(setup):
        return torch.float32
    numbers = setup.train.n * frozen.inputs(setup.train.x[:1]).numel()
    dtype = torch.float32 if numbers * torch.float32.itemsize <= WHOLE_BYTES else torch.float16
    return dtype if numbers * dtype.itemsize <= MOST_SHARE * limit_bytes() else None


def store_of(setup: Setup, digest: str, state: Path | None, *computed: str) -> tuple[Path | None, str]:
    """Return the file for what reaches the trained part of these examples, and the digest of all that decides it.

    digest: of the examples. computed: how.
    """
    what = (digest, frozen_digest(setup.base.module), setup.base.layout.digest, setup.model)
    key = hashlib.sha256("\n".join((*what, setup.preprocess.model_dump_json(), *computed)).encode()).hexdigest()
    return None if state is None else state.with_name(f"frozen-{key[:16]}.npy"), key

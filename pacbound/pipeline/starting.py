"""Theta0 of a split: trained on its first examples, before anything looks at the rest."""

import copy
import hashlib
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..data.examples import Examples
from ..data.preprocess import preprocessed
from ..data.split import Split
from ..errors import RequestError
from ..networks.captured import Frozen, capture, put_back
from ..networks.checkpoints import start_base
from ..networks.frozen import freeze_network
from ..picking.augment import fitting, usual
from ..specs.specs import CHECKPOINT_KINDS, BaseOrigin, SplitSpec
from ..training.fit import Sample
from ..training.start import DECAY, HEAD_DECAY, StartPlan, seconds_an_epoch, train_start
from ..training.state import Checkpoint
from .capturing import frozen_of, store_of
from .preparation import Setup, device_of

TIMED = 500  # examples on which a forecast of the training rests


def with_start(setup: Setup, state: Path | None = None, progress: bool = True) -> Setup:
    """Train theta0 on the first examples of the split, where there is one, and fix the base to what its file holds.

    state: file that keeps the training, and what it came to: where it exists the run goes on from it.
    Raises: ModelError where that training fails; StateError where the state is foreign or cannot be written.
    """
    split, start = setup.split, setup.base.origin
    if split is None:
        return setup
    raw = _trained_start(setup, split, state, progress)
    whole = split.first.n + split.rest.n
    file = start.sha256 if start.kind in CHECKPOINT_KINDS else None
    values = start.sha256 if file is None else start.values
    record = SplitSpec(
        seed=split.seed, parts=split.parts, whole=whole, digest=split.whole, size=len(raw), start=values,
        checkpoint=file,
    )  # fmt: skip
    sha256 = hashlib.sha256(raw).hexdigest()
    origin = BaseOrigin(kind="split", seed=start.seed, sha256=sha256, split=record)
    base = start_base(setup.base.module, raw, origin, setup.request.frozen_buffers)
    return replace(setup, base=replace(base, notes=setup.base.notes), theta0=raw)


def _trained_start(setup: Setup, split: Split, state: Path | None, progress: bool) -> bytes:
    """Return the file of theta0, from the state where it was finished before."""
    checkpoint = Checkpoint(state, hashlib.sha256(f"{split.whole} {setup.key}".encode()).hexdigest())
    finished = (checkpoint.load() or {}).get("theta0")
    if finished is not None:
        return finished.numpy().tobytes()
    module, sample, plan = start_of(setup, split.first, state, progress)
    train_start(module, sample, plan, checkpoint, progress)
    raw = freeze_network(put_back(setup.base.module, module))
    checkpoint.save({"theta0": torch.frombuffer(bytearray(raw), dtype=torch.uint8)}, force=True)
    return raw


def start_of(
    setup: Setup, first: Examples, state: Path | None, progress: bool = True
) -> tuple[nn.Module, Sample, StartPlan]:
    """Return what is trained, on which examples with their labels, and how.

    It is a copy of the network, or of the part that is trained of one that is frozen before it: then its inputs are
    computed once, and nothing is augmented.
    Raises: RequestError where the augmentation asked for is none for such examples.
    """
    request = setup.request
    frozen = frozen_of(setup) if request.augmentation in (None, "none") else "its inputs change each time"
    augmentation = "none" if isinstance(frozen, Frozen) else request.augmentation or usual(first.shape, "shift")
    if not fitting(augmentation, first.shape):
        raise RequestError(
            f"certify: the augmentation {augmentation} is for images, got examples {first.shape} to train theta0 on. "
            "Leave --augmentation out."
        )
    plan = StartPlan(
        seed=request.seed,
        augmentation=augmentation,
        tuned=setup.base.origin.kind in (("checkpoint",) if isinstance(frozen, Frozen) else CHECKPOINT_KINDS),
        decay=HEAD_DECAY if isinstance(frozen, Frozen) else DECAY,
        minutes=request.start_minutes,
        device=str(device_of(request.device)),
    )
    if isinstance(frozen, Frozen):
        captured = capture(frozen, first.x, *store_of(setup, first.digest(), state), progress)
        return captured.part, Sample(captured.x, first.y), plan
    return copy.deepcopy(setup.base.module), Sample(preprocessed(first.x, setup.preprocess), first.y), plan


def seconds_to_start(setup: Setup) -> float:
    """Return how long the training of theta0 on a split will take; 0 where there is none."""
    if setup.split is None:
        return 0.0
    first, started = setup.split.first, time.perf_counter()
    few = first.subset(torch.arange(min(first.n, TIMED)))
    module, sample, plan = start_of(setup, few, None, progress=False)
    seconds = (time.perf_counter() - started) / few.n * first.n
    if plan.minutes is not None:
        return seconds + 60 * plan.minutes
    return seconds + plan.epochs(first.n) * seconds_an_epoch(module, sample, plan) * first.n / few.n

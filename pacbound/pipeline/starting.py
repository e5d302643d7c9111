"""Theta0 of a split: trained on its first examples, before anything looks at the rest."""

import copy
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data.examples import Examples
from ..data.preprocess import treated
from ..data.split import Split
from ..distributed import first
from ..errors import RequestError
from ..networks.captured import Frozen, capture, put_back
from ..networks.checkpoints import start_base
from ..networks.frozen import freeze_network, named_tensors
from ..networks.hypothesis import Base
from ..picking.augment import fitting, usual
from ..specs.specs import CHECKPOINT_KINDS, BaseOrigin, SplitSpec
from ..stages import clocked
from ..training.fit import Sample
from ..training.start import BATCH, DECAY, HEAD_DECAY, STEPS_AN_EPOCH, StartPlan, seconds_an_epoch, train_start
from ..training.state import Checkpoint
from ..training.timing import within
from .capturing import frozen_of, store_of
from .preparation import Setup, device_of

TIMED = BATCH * STEPS_AN_EPOCH  # examples on which a forecast of the training rests
FROZEN_TIMED = 250  # of them, those that are run through what is frozen


def with_start(setup: Setup, state: Path | None = None, progress: bool = True, beside: Path | None = None) -> Setup:
    """Train theta0 on the first examples of the split, where there is one, and fix the base to what its file holds.

    state: file that keeps the training, and what it came to: where it exists the run goes on from it. beside: the state
    of the whole run, next to which what reaches a trained part is kept.
    Raises: ModelError where that training fails; StateError where the state is foreign or cannot be written.
    """
    split, start = setup.split, setup.base.origin
    if split is None:
        return setup
    left_out = _frozen_names(setup)
    raw = _trained_start(setup, split, left_out, state, progress, beside)
    whole = split.first.n + split.rest.n
    file = start.sha256 if start.kind in CHECKPOINT_KINDS else None
    values = start.sha256 if file is None else start.values
    record = SplitSpec(
        seed=split.seed, parts=split.parts, whole=whole, digest=split.whole, size=len(raw), start=values,
        checkpoint=file,
    )  # fmt: skip
    rest = named_tensors(setup.base.module) if left_out else None
    return replace(setup, base=base_of(setup.base, raw, record, setup.request.frozen_buffers, rest), theta0=raw)


def base_of(
    start: Base, raw: bytes, split: SplitSpec, buffers: tuple[str, ...], rest: Mapping[str, Tensor] | None = None
) -> Base:
    """Return the base of a split, in the place of the one that its training started from.

    raw: file of theta0. buffers: names of those that are fixed. rest: tensors that the file leaves out.
    """
    sha256 = hashlib.sha256(raw).hexdigest()
    origin = BaseOrigin(kind="split", seed=start.origin.seed, sha256=sha256, split=split)
    return replace(start_base(start.module, raw, origin, buffers, rest), notes=start.notes)


def kept_theta0(state: Path | None, key: str, train: Callable[[Checkpoint], bytes]) -> bytes:
    """Return the file of theta0, from the state where it was finished before; of several processes process 0 makes it.

    key: all that decides it. train: makes it, or goes on with what the checkpoint holds.
    Raises: StateError where the state is foreign.
    """
    checkpoint = Checkpoint(state, hashlib.sha256(key.encode()).hexdigest())

    @clocked("theta0")
    def made() -> bytes:
        finished = (checkpoint.load() or {}).get("theta0")
        if finished is not None:
            return finished.numpy().tobytes()
        raw = train(checkpoint)
        checkpoint.save({"theta0": torch.frombuffer(bytearray(raw), dtype=torch.uint8)}, force=True)
        return raw

    return first(made)


def _frozen_names(setup: Setup) -> frozenset[str]:
    """Names of the parameters that stay those of a checkpoint, which need no second file."""
    if setup.base.origin.kind not in CHECKPOINT_KINDS:
        return frozenset()
    named = setup.base.module.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in named if not parameter.requires_grad)


def _trained_start(
    setup: Setup, split: Split, left_out: frozenset[str], state: Path | None, progress: bool, beside: Path | None
) -> bytes:
    """Return the file of theta0, from the state where it was finished before."""
    plan, frozen = plan_of_start(setup, split.first.shape)
    treated = setup.preprocess.model_dump_json()
    network = f"{setup.model} {setup.base.layout.digest} {setup.base.origin} {treated} {plan}"
    key = f"{split.whole} {split.seed} {split.parts} {network}"  # no option of what is made from theta0

    def train(checkpoint: Checkpoint) -> bytes:
        module, sample = _trainee(setup, split.first, frozen, beside, progress)
        train_start(module, sample, plan, checkpoint, progress)
        return freeze_network(put_back(setup.base.module, module), left_out)

    return kept_theta0(state, key, train)


def plan_of_start(setup: Setup, shape: tuple[int, ...]) -> tuple[StartPlan, Frozen | None]:
    """Return how theta0 is trained on examples of a shape, and what is frozen before the part that is trained.

    Where that is all the rest of the network, its outputs are computed once and nothing is augmented.
    Raises: RequestError where the augmentation asked for is none for such examples.
    """
    request, kind = setup.request, setup.base.origin.kind
    found = frozen_of(setup) if request.augmentation in (None, "none") else None
    frozen = found if isinstance(found, Frozen) else None
    augmentation = "none" if frozen else request.augmentation or usual(shape, "shift")
    if not fitting(augmentation, shape):
        raise RequestError(
            f"certify: the augmentation {augmentation} is for images, got examples {shape} to train theta0 on. "
            "Leave --augmentation out."
        )
    plan = StartPlan(
        seed=request.seed,
        augmentation=augmentation,
        tuned=kind == "checkpoint" or (kind in CHECKPOINT_KINDS and frozen is None),
        decay=DECAY if frozen is None else HEAD_DECAY,
        minutes=request.start_minutes,
        device=str(device_of(request.device)),
    )
    return plan, frozen


def _trainee(
    setup: Setup, first: Examples, frozen: Frozen | None, beside: Path | None, progress: bool
) -> tuple[nn.Module, Sample]:
    """Return a copy of what is trained, the network or its trained part, and the examples as that reads them."""
    if frozen is None:
        return copy.deepcopy(setup.base.module), Sample(treated(first.x, setup.preprocess), first.y)
    captured = capture(frozen, first.x, *store_of(setup, first.digest(), beside), progress)
    return captured.part, Sample(captured.x, first.y)


def seconds_to_start(setup: Setup) -> float:
    """Return how long the training of theta0 on a split will take; 0 where there is none."""
    if setup.split is None:
        return 0.0
    first, started = setup.split.first, time.perf_counter()
    plan, frozen = plan_of_start(setup, first.shape)
    few = first.subset(torch.arange(min(first.n, TIMED if frozen is None else FROZEN_TIMED)))
    module, sample = _trainee(setup, few, frozen, None, progress=False)
    seconds = (time.perf_counter() - started) * first.n / few.n
    if plan.minutes is not None:
        return seconds + 60 * plan.minutes

    def seconds_a_pass(batch: int) -> float:
        """By steps on as many examples."""
        rows = torch.arange(min(first.n, batch * STEPS_AN_EPOCH)) % few.n
        return seconds_an_epoch(module, sample.subset(rows), plan) * first.n / len(rows)

    return seconds + plan.epochs(first.n) * seconds_a_pass(within(seconds_a_pass, plan.batch(first.n)))

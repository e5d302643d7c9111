"""Theta0 of a language model from a split: trained on the first bytes of a text, before anything looks at the rest."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..data.texts import Text
from ..errors import QuantizeError
from ..models.others import private_copy
from ..networks.frozen import freeze_network
from ..progress import hidden, tqdm
from ..request.request import Request
from ..specs.specs import CHECKPOINT_KINDS, SplitSpec
from ..threads import measured_threads, tick
from ..training.phases import one_cycle
from ..training.state import Checkpoint, moments_of, restore_moments
from ..training.timing import seconds_between
from .language import LanguageSetup
from .language_training import BATCH, LENGTH, TIMED_STEPS, Losses, losses_on
from .starting import base_of, kept_theta0

PASSES, LEAST_STEPS, MOST_STEPS = 10.0, 300, 12_000
RATE, TUNED_RATE = 0.005, 0.0005  # of Adam, from a seed and from a checkpoint
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TextSplit:
    """The first part of a text, and what a certificate says of the whole: bytes, digest of these, 64ths."""

    first: Text
    whole: int
    digest: str
    parts: int


def with_text_start(
    setup: LanguageSetup, split: TextSplit | None, request: Request, state: Path | None, progress: bool = True
) -> LanguageSetup:
    """Train theta0 on the first part, where there is one, and fix the base to what its file holds.

    state: file that keeps the training, and what it came to: where it exists the run goes on from it.
    Raises: QuantizeError where the loss is no longer finite; StateError where the state is foreign.
    """
    if split is None:
        return setup
    start = setup.base.origin
    raw = _trained(setup, split, request, state, progress)
    file = start.sha256 if start.kind in CHECKPOINT_KINDS else None
    record = SplitSpec(
        parts=split.parts, whole=split.whole, digest=split.digest, size=len(raw), start=start.values, checkpoint=file
    )
    buffers = tuple(name for name, _ in setup.base.module.named_buffers())
    base = base_of(setup.base, raw, record, buffers)
    spec = setup.spec.model_copy(update={"base": base.origin})
    return replace(setup, base=base, spec=spec, theta0=raw)


def _trained(setup: LanguageSetup, split: TextSplit, request: Request, state: Path | None, progress: bool) -> bytes:
    """Return the file of theta0, from the state where it was finished before."""

    def train(checkpoint: Checkpoint) -> bytes:
        module = private_copy(setup.base.module)
        losses = _losses(module, setup, split, request)
        steps = checkpoint.note("steps", lambda: [steps_of_start(setup, split, request)])[0]
        rate = RATE if setup.base.origin.kind == "seeded" else TUNED_RATE
        named: dict[str, Tensor] = dict(module.named_parameters())
        with measured_threads(lambda: losses(named, 0)[0].backward(), checkpoint):
            train_text(module, losses, steps, rate, (request.batch or BATCH) * LENGTH, checkpoint, progress)
        return freeze_network(module)

    key = f"{split.digest} {split.parts} {setup.base.layout.digest} {setup.base.origin} {request.model_dump_json()}"
    return kept_theta0(state, key, train)


def _losses(module: nn.Module, setup: LanguageSetup, split: TextSplit, request: Request) -> Losses:
    """The mean loss of windows of the first part alone."""
    return losses_on(
        split.first, None, setup.window, lambda tensors, ids: functional_call(module, tensors, (ids,)), request
    )


def steps_of_start(setup: LanguageSetup, split: TextSplit, request: Request) -> int:
    """Return how many steps theta0 is trained for: what its minutes hold, or some passes over the first part."""
    if request.start_minutes is not None:
        return max(10, int(60 * request.start_minutes / seconds_a_step_of_start(setup, split, request)))
    return min(max(round(PASSES * split.first.n / ((request.batch or BATCH) * LENGTH)), LEAST_STEPS), MOST_STEPS)


def seconds_a_step_of_start(setup: LanguageSetup, split: TextSplit, request: Request) -> float:
    """Return the seconds of a step on this machine."""
    module = private_copy(setup.base.module)
    named: dict[str, Tensor] = dict(module.named_parameters())
    losses = _losses(module, setup, split, request)
    with measured_threads(lambda: losses(named, 0)[0].backward()):
        return seconds_between(
            lambda seen: train_text(module, seen, TIMED_STEPS, TUNED_RATE, 1, Checkpoint(None, ""), False), losses
        )


def train_text(
    module: nn.Module, losses: Losses, steps: int, rate: float, symbols: int, checkpoint: Checkpoint,
    progress: bool = True,
) -> None:  # fmt: skip
    """Train in place; an interrupted run goes on from its state as if nothing had happened.

    Args: losses: of windows of a text, by the number of a step. rate: peak of Adam. symbols: of a step, for the bar.
    Raises: QuantizeError where the loss is no longer finite; StateError where the state is foreign.
    """
    named: dict[str, Tensor] = {name: value for name, value in module.named_parameters() if value.requires_grad}
    adam = torch.optim.Adam(named.values(), rate)
    moments = {f"adam/{name}": value for name, value in named.items()}
    held = checkpoint.load()
    begin = 0
    if held is not None and "step" in held:
        with torch.no_grad():
            for name, value in named.items():
                value.copy_(held[f"now/{name}"])
        restore_moments(adam, moments, held)
        begin = int(held["step"])
    bar = tqdm(
        range(begin, steps), desc="theta0", disable=hidden(progress), initial=begin, total=steps, unit=" symbols",
        unit_scale=symbols,
    )  # fmt: skip
    for step in bar:
        factor, momentum = one_cycle(step / steps)
        for group in adam.param_groups:
            group.update(lr=rate * factor, betas=(momentum, 0.999))
        loss, _ = losses(named, step)
        if not math.isfinite(float(loss.detach())):
            raise QuantizeError("train: the loss of theta0 is no longer finite. Bring it as a checkpoint instead.")
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(named.values(), LARGEST_GRADIENT)
        adam.step()
        if step % 100 == 0:
            bar.set_postfix_str(f"{float(loss.detach()) / math.log(2):.3f} bits a symbol")
        now = {f"now/{name}": value.detach() for name, value in named.items()}
        checkpoint.save(now | moments_of(adam, moments) | {"step": torch.tensor(step + 1)})
        tick("training")

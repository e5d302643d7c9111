"""The original network of a surrogate's certificate: read from its file, left as it is, asked for its answers.

It may have been trained on the labelled sample. So it steers the encoder, by its answers on the training inputs, and
never what is fixed before the sample: theta0, the projector and the architecture of the surrogate know nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..bounds.claims import RiskEstimate
from ..certificate.parts import OriginalNetwork
from ..data.examples import Examples
from ..data.inputs import Inputs
from ..data.mixed import Raw
from ..data.preprocess import preprocessed
from ..errors import DataError, ModelError, first_line
from ..models.others import private_copy
from ..progress import hidden, tqdm
from ..specs.specs import PreprocessSpec
from ..subspace.layout import tensors_digest
from .checkpoints import file_digest, load_checkpoint
from .frozen import named_tensors
from .hidden import from_library
from .passes import BATCH, Network, asking, batch_for, check_deterministic, readings
from .rebuilt import check_memory
from .risk import worst_losses, zero_one


@dataclass(frozen=True)
class Original:
    """Call it on raw inputs (batch, ...) to get float32 logits (batch, classes), in eval mode on the CPU.

    notes: what a reader should know of how its file was read.
    """

    module: nn.Module
    record: OriginalNetwork
    notes: tuple[str, ...] = ()

    @torch.no_grad()
    @torch.autocast("cpu", enabled=False)
    def __call__(self, x: Raw) -> Tensor:
        """See the class."""
        return self.module(preprocessed(x, self.record.preprocess)).float()


def load_original(
    module: nn.Module,
    model: str,
    checkpoint: str | Path,
    rename: Sequence[str],
    preprocess: PreprocessSpec,
    key: str | None = None,
) -> Original:
    """Copy a module in float32 and eval mode, with the weights of a file.

    Args: module: not touched. model: its name in a certificate. checkpoint, rename, key: as for `load_checkpoint`.
    Raises: ModelError where the file does not fit.
    """
    own = private_copy(module).float()
    sha256 = file_digest(checkpoint)
    notes = load_checkpoint(own, checkpoint, rename, key=key)
    record = OriginalNetwork.model_validate(
        {
            "sha256": sha256,
            "values": tensors_digest(named_tensors(own).items()),
            "model": model,
            "preprocess": preprocess,
        }
    )
    return Original(own, record, notes)


def check_answers(original: Original, x: Raw, classes: int) -> None:
    """Refuse an original that is no function from inputs like x (n, ...) to `classes` logits. Raises: ModelError."""
    unasked = private_copy(original.module)
    try:
        logits = original(x[:2])
    except DataError:  # an input cannot be read
        raise
    except Exception as cause:  # whatever somebody's network raises
        raise ModelError(
            f"certify: the original network reads inputs {tuple(x.shape[1:])}, got the error "
            f"{first_line(cause)!r}. Name its architecture with --model."
        ) from cause
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[1] < classes:
        raise ModelError(
            f"certify: the original network returns (batch, {classes} or more) logits, got {tuple(logits.shape)}."
        )
    check_deterministic(original, x)
    if not all(from_library(type(part)) for part in unasked.modules()):
        with torch.no_grad():
            rows = preprocessed(x[:BATCH], original.record.preprocess)
            check_memory(unasked, rows, batch_for(original, x))


def answers(network: Network, x: Raw, progress: bool = True) -> Tensor:
    """Return the class with the largest logit for each input, shape (n,)."""
    batch = batch_for(network, x)
    starts = tqdm(range(0, len(x), batch), desc="asking", disable=hidden(progress), delay=2)
    with asking(network, x):
        return torch.cat([network(x[start : start + batch]).argmax(1) for start in starts])


def count_errors(original: Original, examples: Examples) -> RiskEstimate:
    """Count the examples of which the label is not the original's clear winner in every pass (passes.py)."""
    with asking(original, examples.x):
        errors = int(worst_losses(original, examples, "zero_one", zero_one, progress=False).sum())
    return RiskEstimate(errors=errors, n=examples.n, data_digest=examples.digest())


def clear_answers(logits: Tensor) -> Tensor:
    """Return the winning class of each row, or -1 where another logit comes near (see risk.py) or one is not finite."""
    winner = logits.argmax(1)
    return torch.where(zero_one(logits, winner) > 0, -1, winner)


def count_differing(network: Network, original: Network, inputs: Inputs, progress: bool = True) -> int:
    """Count the inputs on which the two networks do not give the same clear answer; near-ties of either count.

    So P[differ] covers every input on which the surrogate is clearly right and the original is not. Both are asked in
    several batches (passes.py); an input on which they differ in any of them counts.
    Raises: ModelError where one of them is no function of one input.
    """
    differing = torch.zeros(inputs.m, dtype=torch.bool)
    batch = min(batch_for(network, inputs.x), batch_for(original, inputs.x))
    ours = readings(network, inputs.x, progress, shaky=0, batch=batch)
    theirs = readings(original, inputs.x, False, shaky=0, batch=batch)
    with asking(original, inputs.x):
        for here, there in zip(ours, theirs, strict=True):
            one, other = clear_answers(here.logits), clear_answers(there.logits)
            differing[here.rows] |= (one != other) | (one < 0)
    return int(differing.sum())

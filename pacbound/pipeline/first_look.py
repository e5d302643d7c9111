"""A first look: how weights do on the sample as they are, before the work. It is said, and nothing follows from it."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from ..data.examples import Examples
from ..data.mixed import Raw
from ..data.preprocess import IMAGE_DIMENSIONS, preprocessed
from ..models.loading import preprocess_for
from ..networks.passes import batch_for
from ..networks.risk import zero_one
from ..specs.preprocess import PREPROCESS, PreprocessName, PreprocessSpec

LOG = logging.getLogger("pacbound")
EXAMPLES = 2000
SHARE_OF_GUESSING = 0.5  # of the errors of the most frequent class: more than that is no trained network as it was
SHARE_OF_OTHERS = 0.5  # constants of pixels that leave fewer of the errors than this are named

Network = Callable[[Tensor], Tensor]


def first_look(
    network: Network, examples: Examples, preprocess: PreprocessSpec, model: str = "user"
) -> tuple[str, ...]:
    """Count the errors of a network on at most 2,000 random examples, always the same; say them, and what looks wrong.

    Args: network: reads preprocessed inputs (batch, ...), returns logits (batch, classes). model: its name in
        a certificate.
    Returns: what was said, for the certificate's reader.
    """
    chosen = torch.randperm(examples.n, generator=torch.Generator().manual_seed(0))[:EXAMPLES].sort().values
    part = examples.subset(chosen)
    errors = _errors(network, part, preprocess)
    guessing = part.n - int(torch.bincount(part.y).max())
    said = (
        f"as it is, the checkpoint errs on {_of(errors, part.n)} examples; the most frequent class on "
        f"{_of(guessing, part.n)}"
    )
    LOG.info(said)
    doubt = _doubt(network, part, preprocess, errors, guessing, model)
    if doubt:
        LOG.warning(doubt)
    return (said, doubt) if doubt else (said,)


def _doubt(network: Network, part: Examples, preprocess: PreprocessSpec, errors: int, guessing: int, model: str) -> str:
    """What makes the count look wrong; nothing where it does not."""
    usual = "Look at the constants of the pixels (--preprocess), and at the order of channels and classes."
    for name in _other_constants(part, preprocess, model):
        fewer = _errors(network, part, preprocess.model_copy(update={"name": name}))
        if fewer < SHARE_OF_OTHERS * errors and errors - fewer > part.n / 100:
            return (
                f"the checkpoint seems to be used without its preprocessing: with --preprocess {name} it errs on "
                f"{_of(fewer, part.n)} of these examples."
            )
    if errors > SHARE_OF_GUESSING * guessing:
        return f"the checkpoint does little better than guessing, far from what a trained network does. {usual}"
    return ""


def _other_constants(part: Examples, preprocess: PreprocessSpec, model: str) -> list[PreprocessName]:
    if part.x.dtype != torch.uint8 or preprocess.name not in PREPROCESS or preprocess_for(model, "photo") == "none":
        return []
    channels = 1 if part.x.ndim < IMAGE_DIMENSIONS else part.x.shape[1]
    read = {name: max(channels, len(mean)) for name, (_, mean, _) in PREPROCESS.items()}  # channels, by a network
    return [name for name in PREPROCESS if name != preprocess.name and read[name] == read[preprocess.name]]


def _errors(network: Network, part: Examples, preprocess: PreprocessSpec) -> int:
    def answer(x: Raw) -> Tensor:
        return network(preprocessed(x, preprocess))

    with torch.no_grad():
        rows = torch.arange(part.n).split(batch_for(answer, part.x))
        return sum(int(zero_one(answer(part.x[some]), part.y[some]).sum()) for some in rows)


def _of(errors: int, n: int) -> str:
    return f"{100 * errors / n:.2f} % of {n:,}"

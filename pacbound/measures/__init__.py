"""Capacity measures that stand beside the compression bound; every one is a `Measure` and prints no probability.

A measure takes the network, one batch as the network reads it, and for some a sample: inputs (n, ...) as the network
reads them, already preprocessed, and int64 labels (n,). It gives one record per figure; where it stops by
a refusal, those given before it stand.
"""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from ..bounds.claims import Measure
from ..errors import ModelError

Sample = tuple[Tensor, Tensor]
MeasureFunction = Callable[[nn.Module, Tensor, Sample | None], Iterable[Measure]]

__all__ = ["MEASURES", "Measure", "MeasureFunction", "Sample"]


def _stable_rank(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> Iterable[Measure]:
    from .stable_rank.stable_rank import measure

    return measure(model, example_input, data)


def _redundancy(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> Iterable[Measure]:
    from .redundancy.redundancy import measure

    return measure(model, example_input, data)


def _rademacher(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> Iterable[Measure]:
    from .rademacher.rademacher import measure

    return measure(model, example_input, data)


def _covering(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> Iterable[Measure]:
    from .covering.covering import measure

    return measure(model, example_input, data)


def _ntk(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> Iterable[Measure]:
    from .ntk.ntk import measure

    return measure(model, example_input, data)


def _flatness(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> Iterable[Measure]:
    raise ModelError("flatness: it is that of a subspace, which a certificate names, at examples. Give both.")


MEASURES: dict[str, MeasureFunction] = {
    "stable_rank": _stable_rank,
    "redundancy": _redundancy,
    "rademacher": _rademacher,
    "covering": _covering,
    "ntk": _ntk,
    "flatness": _flatness,
}

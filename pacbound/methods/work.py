"""What every method is given: the arguments of `certify`."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..request import Request
from ..risk import LossFunction


@dataclass(frozen=True)
class Work:
    """The arguments of `methods.table.certify`, and the list of methods where this one is of a list."""

    model: nn.Module | str
    train: object
    test: object
    unlabelled: object
    request: Request
    loss: str | LossFunction | None
    data_dir: str | Path | None
    state: Path | None
    progress: bool
    methods: tuple[str, ...] = ()

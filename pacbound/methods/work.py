"""What every method is given: the arguments of `certify`."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ..errors import RequestError
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


def refuse_surrogate_options(work: Work) -> None:
    """Refuse what only the method surrogate has a use for. Raises: RequestError."""
    request, default = work.request, Request()
    given = [name for name in ("surrogate", "earlier_looks") if getattr(request, name) != getattr(default, name)]
    if work.unlabelled is not None:
        given.append("unlabelled")
    if given:
        raise RequestError(f"certify: --{given[0].replace('_', '-')} goes with --method surrogate. Leave it out.")

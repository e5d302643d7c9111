"""The methods by name: one explicit table, read by the Python API and the command line."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from ..certificate.schema import Certificate
from ..direct.certify import certify_direct
from ..errors import RequestError
from ..pipeline import certify as certify_subspace
from ..request import Method, Request
from ..risk import LossFunction

METHODS: dict[Method, Callable[..., Certificate]] = {"subspace": certify_subspace, "direct": certify_direct}


def certify(
    model: nn.Module | str = "auto",
    train: object = "digits",
    *,
    test: object = None,
    request: Request | None = None,
    loss: str | LossFunction | None = None,
    data_dir: str | Path | None = None,
    state: Path | None = None,
    progress: bool = True,
) -> Certificate:
    """Certify a network by the method that the request names; see METHODS.

    Args:
        model: a module, which is not touched, or the name of a reference network.
        train: Examples, (x, y) tensors, a map-style data set, or what `--data` takes.
        test: held-out examples, reported beside the bound and never used for it.
        request: all other options; its `data`, `model` and `test` are overridden by the arguments.
        loss: a name of `risk.LOSSES`, or a function (logits, y) -> (batch,) in [0, 1]; by default the request's.
        data_dir: folder of named data sets.
        state: file that keeps an unfinished run; where it exists the run goes on from it.
        progress: show bars on a terminal.

    Raises: PacboundError with the reason of a refusal.
    """
    request = request or Request()
    if request.method not in METHODS:
        raise RequestError(f"certify: the method is one of {', '.join(METHODS)}, got {request.method!r}.")
    return METHODS[request.method](
        model, train, test=test, request=request, loss=loss, data_dir=data_dir, state=state, progress=progress
    )

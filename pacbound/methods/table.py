"""The methods by name: one explicit table, read by the Python API and the command line."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from ..certificate.schema import Certificate
from ..distributed import refuse_several
from ..networks.risk import LossFunction
from ..pipeline.looks import looks_beside
from ..request.request import Method, Request
from ..threads import one_thread
from .auto import auto
from .direct.method import direct
from .language import refuse_language_options
from .picks import picks
from .quantization import refuse_quantization_options
from .subspace import subspace
from .surrogate import surrogate
from .work import Work

METHODS: dict[Method, Callable[[Work], Certificate]] = {
    "subspace": subspace,
    "direct": direct,
    "surrogate": surrogate,
    "picks": picks,
    "auto": auto,
}


@one_thread()
def certify(
    model: nn.Module | str | None = None,
    train: object = None,
    *,
    test: object = None,
    unlabelled: object = None,
    request: Request | None = None,
    loss: str | LossFunction | None = None,
    data_dir: str | Path | None = None,
    state: Path | None = None,
    progress: bool = True,
) -> Certificate:
    """Certify a network by the method that the request names; see METHODS.

    Args:
        model: a module, which is not touched, or what `--model` takes, such as 'lenet' or 'h64-R-L'; by default the
            request's.
        train: Examples, (x, y) tensors, a map-style data set, or what `--data` takes; by default the request's data.
        test: held-out examples, reported beside the bound and never used for it; by default the request's.
        unlabelled: inputs on which a surrogate is compared with the original: x, or what `--unlabelled` takes; labels
            beside them are not read. By default the request's.
        request: all options; an empty one certifies the embedded digits.
        loss: a name of `risk.LOSSES`, or a function (logits, y) -> (batch,) in [0, 1]; by default the request's.
        data_dir: folder of named data sets.
        state: file that keeps an unfinished run; where it exists the run goes on from it. Beside it stands the record
            of all draws and comparisons made in that folder; without a state they are the caller's to count.
        progress: show bars on a terminal.

    Raises: PacboundError with the reason of a refusal.
    """
    request = request or Request()
    refuse_quantization_options(request)
    refuse_language_options(request)
    if request.method != "subspace":
        refuse_several(f"method {request.method}")
    work = Work(
        request.model if model is None else model,
        request.data if train is None else train,
        request.test if test is None else test,
        request.unlabelled if unlabelled is None else unlabelled,
        request, loss, data_dir, state, progress, looks=looks_beside(state),
    )  # fmt: skip
    certificate = METHODS[request.method](work)
    return certificate if request.model_name is None else certificate.with_network(request.model_name)

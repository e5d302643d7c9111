"""What each method would do, without doing it: one forecast, or those of all methods of a list."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from ..certificate.accounting import Comparison
from ..certificate.schema import Certificate
from ..data.inputs import Inputs
from ..errors import PacboundError
from ..models.others import failures
from ..networks.original import Original
from ..networks.passes import BATCH
from ..pipeline.forecast import Forecast, forecast
from ..pipeline.picked import forecast_picks
from ..pipeline.preparation import prepare
from ..request.request import Request
from ..specs.grammar import OWN_NETWORK
from ..stages import clocked, counted
from ..threads import one_thread
from .auto import announced, part_of
from .direct.forecast import forecast_direct
from .direct.method import direct
from .picks import chosen, most_picks, picks
from .quantization import refuse_quantization_options
from .subspace import subspace
from .surrogate import checked, fixed, surrogate
from .table import METHODS
from .work import Work, refuse_surrogate_options


@one_thread()
def plans(request: Request, data_dir: str | Path | None = None) -> dict[str, Forecast | str]:
    """Return for each method of the request its forecast, or why it would be refused.

    Raises: PacboundError with the reason, where the request names one method that would be refused.
    """
    refuse_quantization_options(request)
    work = Work(
        request.model, request.data, request.test, request.unlabelled, request, None, data_dir, None, progress=False
    )
    if request.method != "auto":
        return {request.method: FORECASTS[METHODS[request.method]](work)}
    options = announced(work)
    names = tuple(option.name for option in options)
    found: dict[str, Forecast | str] = {}
    for option in options:
        part = part_of(option, work, names, None)
        try:
            found[option.name] = FORECASTS[option.run](part)
        except PacboundError as refusal:
            found[option.name] = str(refusal)
    return found


def _subspace(work: Work) -> Forecast:
    refuse_surrogate_options(work.request, work.unlabelled)
    loss = work.request.loss if work.loss is None else work.loss
    with counted() as run, clocked("preparation"):
        setup = prepare(work.model, work.train, work.test, work.request, loss, work.data_dir, planned=True)
        setup = replace(setup, methods=work.methods)
    with failures("certify", setup.model == OWN_NETWORK):
        return forecast(setup, prepared=run.seconds())


def _picks(work: Work) -> Forecast:
    """The forecast of a selection of the most picks that it may come to; it ends earlier where more would not help."""
    setup, recipe = chosen(work)
    with failures("certify", setup.model == OWN_NETWORK):
        return forecast_picks(setup, recipe, most_picks(setup))


def _surrogate(work: Work) -> Forecast:
    """The forecast of the surrogate, and the time that the original takes to answer."""
    with failures("certify"):
        with counted() as run, clocked("preparation"):
            task = checked(work)
            setup = fixed(work, task.train, "subspace")
        setup = replace(setup, targets=torch.zeros(setup.train.n, dtype=torch.int64))  # answers cost time
        looks = (work.request.earlier_looks or 0) + 1
        plan = forecast(setup, Comparison.on(task.record, looks), run.seconds())
        seconds = _seconds_to_answer(task.original, task.inputs) * (task.train.n + task.inputs.m)
        stages = {**plan.stages, "answers": round(seconds, 3)}
        return plan.model_copy(update={"seconds": round(plan.seconds + seconds, 1), "stages": stages})


def _seconds_to_answer(original: Original, inputs: Inputs) -> float:
    """Seconds an input."""
    x = inputs.x[:BATCH]
    started = time.perf_counter()
    original(x)
    return (time.perf_counter() - started) / len(x)


FORECASTS: dict[Callable[[Work], Certificate], Callable[[Work], Forecast]] = {
    subspace: _subspace,
    direct: forecast_direct,
    surrogate: _surrogate,
    picks: _picks,
}

"""What every method is given: the arguments of `certify`."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ..certificate.sweep import SweepRecord
from ..errors import RequestError
from ..networks.risk import LossFunction
from ..pipeline.first_look import first_look
from ..pipeline.preparation import Setup
from ..pipeline.starting import with_start
from ..request.request import Request, refuse_options
from ..training.state import methods_folder


@dataclass(frozen=True)
class Work:
    """The arguments of `methods.table.certify`; the list where this method is of a list; where looks are
    recorded; the grid where this is a run of a sweep."""

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
    looks: Path | None = None
    sweep: SweepRecord | None = None

    @property
    def start_state(self) -> Path | None:
        """Where the training of theta0 keeps what it needs to go on, and theta0 once it is done."""
        return None if self.state is None else methods_folder(self.state) / "theta0"


def with_theta0(work: Work, setup: Setup) -> Setup:
    """Say how a checkpoint does as it is, and train theta0 on the first examples of a split, where there is one."""
    if work.request.checkpoint is not None and not work.request.new_head:
        seen = first_look(setup.base.module, setup.train, setup.preprocess, setup.model)
        setup = replace(setup, notes=(*setup.notes, *seen))
    return with_start(setup, work.start_state, work.progress, work.state)


def refuse_surrogate_options(request: Request, unlabelled: object) -> None:
    """Refuse what only the method surrogate has a use for. Raises: RequestError."""
    names = ("surrogate", "surrogate_by", "surrogate_checkpoint", "surrogate_preprocess", "earlier_looks")
    refuse_options(request, names, "goes with --method surrogate")
    if unlabelled is not None:
        raise RequestError("certify: --unlabelled goes with --method surrogate. Leave it out.")

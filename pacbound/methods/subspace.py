"""Method subspace: train in a random subspace, code, and certify the decoded network."""

from dataclasses import replace

from ..certificate.schema import Certificate
from ..distributed import refuse_differing
from ..models.others import failures
from ..pipeline.capturing import with_captured
from ..pipeline.encoding import encode
from ..pipeline.finish import finish
from ..pipeline.preparation import prepare
from ..specs.grammar import OWN_NETWORK
from ..stages import clocked, counted
from ..training.state import Checkpoint
from .work import Work, refuse_surrogate_options, with_theta0


def subspace(work: Work) -> Certificate:
    """Return the certificate of the best candidate message, w = 0 included.

    Raises: RequestError for options of the method surrogate; other PacboundErrors with the reason of a refusal.
    """
    refuse_surrogate_options(work.request, work.unlabelled)
    loss = work.request.loss if work.loss is None else work.loss
    with counted() as run:
        with clocked("preparation"):
            setup = prepare(work.model, work.train, work.test, work.request, loss, work.data_dir)
            setup = replace(setup, methods=work.methods, sweep=work.sweep)
            refuse_differing("sample, network and options", setup.key)
        with failures("certify", setup.model == OWN_NETWORK):
            with clocked("training"):
                setup = with_theta0(work, setup)
                setup = with_captured(setup, work.state, work.progress)
                encoded = encode(setup, Checkpoint(work.state, setup.key), work.progress, work.looks)
            return finish(setup, encoded, run.seconds(), work.progress)

"""Method direct: the weights of a file are coded themselves."""

from ...certificate.schema import Certificate
from ..work import Work, refuse_surrogate_options
from .certify import certify_direct


def direct(work: Work) -> Certificate:
    """Code, fine-tune and certify. Raises: RequestError for options of the other methods; else as `certify_direct`."""
    refuse_surrogate_options(work.request, work.unlabelled)
    return certify_direct(
        work.model, work.train, test=work.test, request=work.request, loss=work.loss, data_dir=work.data_dir,
        progress=work.progress, methods=work.methods, sweep=work.sweep,
    )  # fmt: skip

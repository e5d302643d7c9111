"""Method subspace: the decoded network is the one that is certified."""

from ..certificate.schema import Certificate
from ..pipeline import certify
from .work import Work, refuse_surrogate_options


def subspace(work: Work) -> Certificate:
    """Train, code and certify. Raises: RequestError for options of the method surrogate; else as `pipeline.certify`."""
    refuse_surrogate_options(work.request, work.unlabelled)
    return certify(
        work.model, work.train, test=work.test, request=work.request, loss=work.loss, data_dir=work.data_dir,
        state=work.state, progress=work.progress, methods=work.methods,
    )  # fmt: skip

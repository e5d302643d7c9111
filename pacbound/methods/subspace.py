"""Method subspace: the decoded network is the one that is certified."""

from ..certificate.schema import Certificate
from ..errors import RequestError
from ..pipeline import certify
from ..request import Request
from .work import Work


def subspace(work: Work) -> Certificate:
    """Train, code and certify. Raises: RequestError for options of the method surrogate; else as `pipeline.certify`."""
    request = work.request
    given = [name for name in ("surrogate", "earlier_looks") if getattr(request, name) != getattr(Request(), name)]
    if work.unlabelled is not None:
        given.append("unlabelled")
    if given:
        raise RequestError(f"certify: --{given[0].replace('_', '-')} goes with --method surrogate. Leave it out.")
    return certify(
        work.model, work.train, test=work.test, request=request, loss=work.loss, data_dir=work.data_dir,
        state=work.state, progress=work.progress, methods=work.methods,
    )  # fmt: skip

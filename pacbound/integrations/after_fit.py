"""What can be certified at the end of a fit that somebody else's loop made.

The network has seen the sample then. So it is never theta0 of a certificate about that sample: what can be certified is
the direct code of its weights, where every parameter stands in the message, or, untouched, what a surrogate says of it
on unlabelled inputs.
"""

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from ..certificate.schema import Certificate
from ..data.registry import load_any
from ..errors import RequestError
from ..methods.table import certify
from ..methods.work import methods_folder
from ..request.request import Request

METHODS = ("direct", "surrogate")
DIRECT = Request(method="direct")


@dataclass(frozen=True)
class AfterFit:
    """A certificate to be made at the end of a fit.

    train: the sample of the statement, as `pacbound.certify` takes it; the fit may have used it. output: file of the
    certificate. request: with the method direct or surrogate. test: held-out examples that the fit has not used.
    unlabelled: inputs for a surrogate. network: what of the fitted module reads (batch, ...) and returns logits.

    Raises: RequestError where the request asks for what a fitted network cannot have, before the fit begins;
        DataError where the sample cannot be read.
    """

    train: object
    output: Path
    request: Request = DIRECT
    test: object = None
    unlabelled: object = None
    network: Callable[[nn.Module], nn.Module] | None = None

    def __post_init__(self) -> None:
        """Refuse before the fit what could only fail after it."""
        request = self.request
        if request.method not in METHODS:
            raise RequestError(
                "after a fit: the network has seen the sample, so that it is no theta0 of a certificate about it; "
                f"direct codes its weights and surrogate leaves them, got the method {request.method!r}. Give "
                "request=Request(method='direct'), or certify before the fit."
            )
        if request.checkpoint is not None or request.disjoint or request.base == "values":
            raise RequestError(
                "after a fit: the weights are those of the fit, which has seen the sample, got a checkpoint, base "
                "values or the word that they have not. Leave them out."
            )
        if request.method == "surrogate" and (self.unlabelled is None or request.earlier_looks is None):
            raise RequestError(
                "after a fit: a surrogate is compared on unlabelled inputs that the fit has not used, and somebody "
                "says how often that was done before. Give unlabelled and Request(earlier_looks=N)."
            )
        if not self.output.parent.is_dir():
            raise RequestError(f"after a fit: the folder of output exists, got {str(self.output.parent)!r}. Create it.")
        load_any(self.train)

    @property
    def weights(self) -> Path:
        """Where the weights lie that a surrogate stands for."""
        return self.output.with_suffix(".safetensors")

    def certify(self, fitted: nn.Module) -> Certificate:
        """Certify the network as the fit left it, and save the certificate. The network is not touched.

        Raises: PacboundError with the reason of a refusal.
        """
        chosen = fitted if self.network is None else self.network(fitted)
        module, request = deepcopy(chosen).float().cpu().eval(), self.request
        if request.method == "surrogate":
            save_file({name: value.contiguous().clone() for name, value in module.state_dict().items()}, self.weights)
            request = request.model_copy(update={"checkpoint": str(self.weights)})
        state = self.output.with_name(f"{self.output.name}.state")
        certificate = certify(
            module, self.train, test=self.test, unlabelled=self.unlabelled, request=request, state=state, progress=False
        )
        certificate.save(self.output)
        state.unlink(missing_ok=True)
        shutil.rmtree(methods_folder(state), ignore_errors=True)
        return certificate


def figures(certificate: Certificate) -> dict[str, float]:
    """Return what a log keeps: the bound, the share of errors and the bits of the network that is certified.

    >>> sorted(figures.__annotations__)
    ['certificate', 'return']
    """
    risk = certificate.risk
    return {
        "certified/bound": certificate.stated_bound.value,
        "certified/training_error": risk.errors / risk.n,
        "certified/bits": float(certificate.ledger.bits),
    }

"""Generalization bounds by compression, as certificates that anybody can decode and verify.

>>> import pacbound as pb
>>> pb.bound(errors=1200, n=60000, bits=5000, delta=0.05).theorem
'occam_binomial'

Names below are loaded when first used, so that `import pacbound` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bits.ledger import Entry as Entry
    from .bits.ledger import Ledger as Ledger
    from .bounds.arrays import bound as bound
    from .bounds.claims import Bound as Bound
    from .bounds.claims import Measure as Measure
    from .bounds.claims import RiskEstimate as RiskEstimate
    from .certificate.difference import DifferenceCertificate as DifferenceCertificate
    from .certificate.language import LanguageCertificate as LanguageCertificate
    from .certificate.schema import Certificate as Certificate
    from .data.examples import Examples as Examples
    from .data.registry import load as load
    from .errors import PacboundError as PacboundError
    from .measures.measuring import measure as measure
    from .methods.language import certify_language as certify_language
    from .methods.quantization import certify_quantization as certify_quantization
    from .methods.table import certify as certify
    from .request.presets import preset as preset
    from .request.request import Request as Request
    from .verification.verification import Verification as Verification
    from .verification.verification import verify as verify

# public name -> (module, name there)
_PUBLIC = {
    "Bound": ("bounds.claims", "Bound"),
    "Certificate": ("certificate.schema", "Certificate"),
    "DifferenceCertificate": ("certificate.difference", "DifferenceCertificate"),
    "Entry": ("bits.ledger", "Entry"),
    "Examples": ("data.examples", "Examples"),
    "LanguageCertificate": ("certificate.language", "LanguageCertificate"),
    "Ledger": ("bits.ledger", "Ledger"),
    "Measure": ("bounds.claims", "Measure"),
    "PacboundError": ("errors", "PacboundError"),
    "Request": ("request.request", "Request"),
    "RiskEstimate": ("bounds.claims", "RiskEstimate"),
    "Verification": ("verification.verification", "Verification"),
    "bound": ("bounds.arrays", "bound"),
    "certify": ("methods.table", "certify"),
    "certify_language": ("methods.language", "certify_language"),
    "certify_quantization": ("methods.quantization", "certify_quantization"),
    "load": ("data.registry", "load"),
    "measure": ("measures.measuring", "measure"),
    "preset": ("request.presets", "preset"),
    "verify": ("verification.verification", "verify"),
}
__all__ = sorted(_PUBLIC)
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import a public name on first use, and the module of theorems."""
    if name == "bounds":
        return importlib.import_module(".bounds", __name__)
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pacbound' has no attribute {name!r}; it has {', '.join(_PUBLIC)}")
    module, attribute = _PUBLIC[name]
    value = getattr(importlib.import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__

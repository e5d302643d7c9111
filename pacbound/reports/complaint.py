"""Whether a certificate of any kind stands by its own document, and if not, why."""

from ..certificate.difference import DifferenceCertificate
from ..certificate.difference_recheck import recheck_difference
from ..certificate.documents import AnyCertificate
from ..certificate.language import LanguageCertificate
from ..certificate.language_recheck import recheck_language_arithmetic, recheck_language_message
from ..certificate.recheck import Finding, recheck_arithmetic, recheck_message


def complaint(certificate: AnyCertificate) -> str:
    """Return why a certificate does not stand, by its arithmetic or its message; empty where it does."""
    last = _last(certificate)
    return "" if last.complaint is None else f"{last.check}: {last.complaint}"


def _last(certificate: AnyCertificate) -> Finding:
    """The finding after which no check was made."""
    if isinstance(certificate, DifferenceCertificate):
        return recheck_difference(certificate)[-1]
    if isinstance(certificate, LanguageCertificate):
        last = recheck_language_arithmetic(certificate)[-1]
        return last if last.complaint is not None else recheck_language_message(certificate)[-1]
    last = recheck_arithmetic(certificate)[-1]
    return last if last.complaint is not None else recheck_message(certificate)[0][-1]

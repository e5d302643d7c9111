"""Every refusal of pacbound: one base class, one class per kind.

A message says what was being done, the rule, the value found and the remedy.
"""


class PacboundError(Exception):
    """Base of all refusals; `except PacboundError` catches nothing but them."""


class LedgerError(PacboundError):
    """A ledger entry breaks the rules of bookkeeping."""


class CodeError(PacboundError):
    """A symbol model or a coded field cannot represent what it was given."""


class MessageError(PacboundError):
    """A message cannot be decoded, or decodes to something else than declared."""


class BoundError(PacboundError):
    """A theorem was asked for outside its conditions."""


class CertificateError(PacboundError):
    """A certificate file is malformed."""


class VerificationError(PacboundError):
    """A certificate is well-formed and does not hold."""


class SubspaceError(PacboundError):
    """A module or a projector cannot span a subspace."""


class QuantizeError(PacboundError):
    """Coefficients cannot be put on a lattice or a codebook."""


class DataError(PacboundError):
    """Examples are missing, malformed or not those expected."""


class ModelError(PacboundError):
    """A network cannot be built, loaded or evaluated."""


class RequestError(PacboundError):
    """An option is unknown, contradictory or out of range."""


class StateError(PacboundError):
    """A resumable training state does not belong to this request."""


class ProcessError(PacboundError):
    """One of several processes that work together is lost, or holds something else than the others."""


def without_file(cause: BaseException) -> str:
    """Return what an exception says, without the name of a file, which the message around it has given already."""
    if isinstance(cause, FileNotFoundError):
        return "no such file"
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else first_line(cause).rstrip(".")


def first_line(cause: BaseException) -> str:
    """Return the first line of what an exception says, at most 300 characters; its class where it says nothing."""
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0][:300]

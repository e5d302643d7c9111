"""One report about certificates, as a page, as Markdown, as a frame: what stands is ranked, what does not is marked.

Reads certificates and nothing else. Of each the arithmetic and the message are checked again; errors are not counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from ..certificate.schema import Certificate
from ..errors import CertificateError
from ..notebook import frame
from .compare import Comparison, compare
from .complaint import complaint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..notebook import Frame
    from .beside import Section
    from .drawn import Drawing
    from .picked import Strip

Named = tuple[str, Certificate]


@dataclass(frozen=True)
class Subject:
    """A certificate under the name it is shown by; complaint: why it does not stand, or empty."""

    name: str
    certificate: Certificate
    complaint: str

    @property
    def stands(self) -> bool:
        """Whether its arithmetic and its message passed every check."""
        return not self.complaint


@dataclass(frozen=True)
class Lead:
    """What stands before all certificates: tables with sentences, and figures, which Markdown leaves out."""

    sections: "tuple[Section, ...]"
    figures: "Callable[[], tuple[Drawing, ...]]"


@dataclass(frozen=True)
class Report:
    """What a page is made of.

    subjects: those of the table in its order, then those set apart, then those that do not stand. comparison: of
    those that stand, None where there is none. unread: files that are no certificates, and why. whole: whether it is
    about a folder, so that the parts about several are there even of one. lead: before all of these, where there is
    something to say of them that no certificate knows. pictures: name of a certificate -> its picked examples.
    """

    title: str
    subjects: tuple[Subject, ...]
    comparison: Comparison | None
    unread: tuple[tuple[str, str], ...]
    whole: bool
    lead: Lead | None = None
    pictures: "Mapping[str, tuple[Strip, ...]]" = field(default_factory=dict)

    def html(self) -> str:
        """Return one self-contained page. Raises: CertificateError where pacbound[report] is not installed."""
        from .pages import page

        return page(self)

    def markdown(self) -> str:
        """Return the report as Markdown, without figures and without a final newline."""
        from .pages import markdown

        return markdown(self)

    def frame(self) -> "Frame":
        """Return a line for each certificate as a pandas frame. Raises: RequestError where pandas is missing."""
        found = self.subjects
        return frame(
            {
                "name": [one.name for one in found],
                "stands": [one.stands for one in found],
                "bound": [one.certificate.stated_bound.value for one in found],
                "theorem": [one.certificate.stated_bound.theorem for one in found],
                "delta": [one.certificate.stated_bound.delta for one in found],
                "errors": [one.certificate.risk.errors for one in found],
                "n": [one.certificate.risk.n for one in found],
                "bits": [one.certificate.ledger.bits for one in found],
                "data": [one.certificate.data.name for one in found],
                "model": [one.certificate.hypothesis.model for one in found],
                "digest": [one.certificate.digest for one in found],
            }
        )

    def _repr_html_(self) -> str:
        page = escape(self.html(), quote=True)
        return f'<iframe title="{escape(self.title)}" srcdoc="{page}" width="100%" height="800"></iframe>'


def report(
    certificates: Sequence[Named],
    unread: Sequence[tuple[str, str]] = (),
    title: str = "",
    whole: bool = True,
    lead: Lead | None = None,
    pictures: "Mapping[str, tuple[Strip, ...]] | None" = None,
) -> Report:
    """Make a report.

    Args: certificates: names as they should appear, and certificates; names are distinct. unread: names of files that
        are no certificates, and why. title: of the page. whole, lead, pictures: as of Report.
    Raises: CertificateError where there is no certificate, or a name stands twice.
    """
    names = [name for name, _ in certificates]
    if not names or len(set(names)) < len(names):
        raise CertificateError(f"report: give at least one certificate, each under its own name, got {names}.")
    subjects = {name: Subject(name, one, complaint(one)) for name, one in certificates}
    standing = [(name, one) for name, one in certificates if subjects[name].stands]
    comparison = compare(standing) if standing else None
    order = [] if comparison is None else [row.name for row in comparison.rows]
    order += [name for name, _ in standing if name not in order]
    order += [name for name in names if not subjects[name].stands]
    first = certificates[0][1]
    about = title or f"{first.hypothesis.model} on {first.data.name}"
    return Report(
        about, tuple(subjects[name] for name in order), comparison, tuple(unread), whole, lead, pictures or {}
    )

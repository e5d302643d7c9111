"""What stages of a posterior ended with, and a message made of it where a later stage fails or the time is over."""

import logging
from collections.abc import Callable

from ..errors import QuantizeError, SubspaceError
from .plain import Candidate
from .rounding import Standing

WIDEST_KAP = 6.4  # of the format: steps this wide let a beam follow where usual ones do not
LOG = logging.getLogger("pacbound")


class Ends:
    """The posterior at the end of the last whole stage, and that at the end of the last of all."""

    def __init__(self) -> None:
        """Begin before any stage has ended."""
        self._good: list[Standing] = []

    def keep(self, now: Standing) -> Standing:
        """Note what a stage ended with, and return it."""
        self._good = [now] if not len(now.integers) else [*self._good[:1], now]
        return now

    def last(self, cause: QuantizeError | SubspaceError) -> Standing:
        """Return what the last stage left. Raises: the cause, where there was none."""
        if not self._good:
            raise cause
        LOG.warning("%s Going on with what was trained before.", cause)
        return self._good[-1]

    def rescued(
        self, cause: QuantizeError | SubspaceError, kap: float, finish: Callable[[Standing, float], list[Candidate]]
    ) -> list[Candidate]:
        """Round at once what is free in the last posterior, else in the last whole one, with wider steps at last.

        finish: what rounds a posterior with steps of a width. Raises: the cause, where no stage has ended.
        """
        last = self.last(cause)
        for now, width in ((last, kap), (self._good[0], kap), (self._good[0], WIDEST_KAP)):
            try:
                return finish(now, width)
            except (QuantizeError, SubspaceError):
                continue
        LOG.warning("%s Nothing of it can be rounded: w = 0 is what is left to certify.", cause)
        return []

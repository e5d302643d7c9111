"""The ledger: every bit a receiver must read, and why. The only place where bits are summed."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ..errors import LedgerError
from ..notebook import frame, html_table
from ..records import Record

if TYPE_CHECKING:
    from ..notebook import Frame

Kind = Literal["counted", "choice", "derived", "declared"]
MAX_BITS = 1 << 53  # integers of this size are exact in float64, which `nats` rests on


class Entry(Record):
    """One line of the ledger.

    kind: `counted` bits stand in the message; `choice` bits pay for picking one of several options
    the receiver is not told about in the message; `derived` bits come from a named function that
    verification recomputes, and may be negative; `declared` facts were fixed before the data, 0 bits.
    """

    item: str = Field(min_length=1, max_length=200)
    bits: int = Field(gt=-MAX_BITS, lt=MAX_BITS)
    kind: Kind
    why: str = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _sign(self) -> Self:
        if self.kind in ("counted", "choice") and self.bits < 0:
            raise ValueError(f"a {self.kind} entry has bits >= 0, got {self.bits} for {self.item!r}")
        if self.kind == "declared" and self.bits != 0:
            raise ValueError(f"a declared entry has 0 bits, got {self.bits} for {self.item!r}")
        return self


class Ledger:
    """An immutable list of entries with distinct items.

    >>> ledger = Ledger().charge("symbols", 100, why="range coded").choice("code", 4, why="best of four")
    >>> ledger.bits_of("choice")
    2
    >>> ledger.bits
    102
    >>> round(ledger.nats, 3)
    70.701
    """

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        """Args: entries, in order. Raises: LedgerError where an item repeats."""
        seen: set[str] = set()
        for entry in entries:
            if entry.item in seen:
                raise LedgerError(
                    f"Ledger: each item stands once, {entry.item!r} stands twice. Give one of them another name."
                )
            seen.add(entry.item)
        self.entries: tuple[Entry, ...] = tuple(entries)

    @property
    def bits(self) -> int:
        """Sum of all entries, in bits."""
        return sum(entry.bits for entry in self.entries)

    def bits_of(self, kind: Kind) -> int:
        """Sum of the entries of one kind, in bits."""
        return sum(entry.bits for entry in self.entries if entry.kind == kind)

    @property
    def nats(self) -> float:
        """Sum of all entries, in nats, rounded up."""
        return math.nextafter(self.bits * math.log(2), math.inf)

    def charge(self, item: str, bits: int, why: str, kind: Kind = "counted") -> "Ledger":
        """Return a ledger with one more entry.

        Raises: LedgerError on fractional bits, a sign that its kind forbids, or a repeated item.
        """
        if not isinstance(bits, int) or isinstance(bits, bool):
            raise LedgerError(
                f"Ledger: bits must be an int, got {bits!r} for {item!r}. "
                "Round fractional lengths up with math.ceil before they enter the ledger."
            )
        try:
            entry = Entry(item=item, bits=bits, kind=kind, why=why)
        except ValidationError as cause:
            raise LedgerError(f"Ledger: {item!r} is not an entry ({cause.errors()[0]['msg']}).") from None
        return Ledger([*self.entries, entry])

    def choice(self, item: str, options: int, why: str) -> "Ledger":
        """Charge ceil(log2(options)) bits for a choice among `options` fixed before the data."""
        if not isinstance(options, int) or isinstance(options, bool) or options < 1:
            raise LedgerError(f"Ledger: a choice is among an int number of options >= 1, got {options!r} for {item!r}.")
        return self.charge(item, (options - 1).bit_length(), why, kind="choice")

    def declare(self, item: str, why: str) -> "Ledger":
        """Write down a fact that was fixed before the data, at 0 bits."""
        return self.charge(item, 0, why, kind="declared")

    def frame(self) -> "Frame":
        """Return the entries as a pandas frame. Raises: RequestError where pandas is not installed."""
        return frame(
            {
                "item": [entry.item for entry in self],
                "bits": [entry.bits for entry in self],
                "kind": [entry.kind for entry in self],
                "why": [entry.why for entry in self],
            }
        )

    def __iter__(self) -> Iterator[Entry]:
        """Go through the entries, in order."""
        return iter(self.entries)

    def __eq__(self, other: object) -> bool:
        """Ledgers are equal when their entries are, in order."""
        return isinstance(other, Ledger) and self.entries == other.entries

    def __hash__(self) -> int:
        """Hash of the entries."""
        return hash(self.entries)

    def __repr__(self) -> str:
        """Show the sum and the number of entries."""
        return f"Ledger({len(self.entries)} entries, {self.bits} bits)"

    def _repr_html_(self) -> str:
        rows = [(entry.item, f"{entry.bits:,}", entry.kind, entry.why) for entry in self]
        return html_table(("item", "bits", "kind", "why"), [*rows, ("sum", f"{self.bits:,}", "", "")])

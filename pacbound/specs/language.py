"""What a certificate says of how text is read and how symbols are predicted. Data only.

The declared vocabulary is what a loss is a loss over; a network may predict fewer symbols, those that the message
lists, and the smoothing reaches the others.
"""

import functools
import math
from typing import Literal, Self

from pydantic import Field, model_validator

from ..records import SparseRecord
from .repeats import Reason

Statement = Literal["stream", "positions", "documents", "answers"]
AlphabetKind = Literal["bytes", "ascii97", "tokenizer"]
ALPHABET_SIZES = {"bytes": 256, "ascii97": 97}
ASCII97 = bytes([*b"\t\n", *range(0x20, 0x7F)])  # tab, newline and the 95 characters that print
MAX_VOCABULARY = 1 << 20
MAX_SYMBOLS = 1 << 40

# Menus written down before the data. Their prices: choices of the ledger.
ALPHAS = (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3)  # p_alpha(y|x) = (1 - alpha) p(y|x) + alpha / V
KAPPAS = (1.0, 1.1)  # centre c_i = kappa H_i of a stream, H_i the entropy of the smoothed prediction at i, in bits
CENTRES = 256  # of positions and documents: one c = index / 16 bits
FIRST_CONTEXT, CONTEXTS = 3, 10  # a window holds 2^3, ..., 2^12 symbols
STRIDES = 4  # quarters of a window by which the next one starts later
# Added to every loss before losses are summed up, in bits: other machines round otherwise, and count without it.
TOLERANCE_BITS = 2.0**-13


class AlphabetSpec(SparseRecord):
    """The declared vocabulary of V = size symbols, and which of them the network predicts.

    bytes: all 256. ascii97: tab, newline and printable ASCII. tokenizer: by the SHA-256 of its file. occurring: a mask
    of the bytes that the network knows, 64 hex digits, bit b of the number standing for byte b; it is paid, and a
    symbol outside it has the probability alpha / V. start: the symbol that stands before every window.
    """

    LEFT_OUT = ("occurring", "sha256")

    kind: AlphabetKind = "bytes"
    size: int = Field(ge=2, le=MAX_VOCABULARY)
    occurring: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    start: int = Field(default=0, ge=0, lt=MAX_VOCABULARY)

    @model_validator(mode="after")
    def _own_fields(self) -> Self:
        if (self.kind == "tokenizer") != (self.sha256 is not None):
            raise ValueError("a tokenizer has the SHA-256 of its file, and no other alphabet has one")
        if self.kind == "tokenizer":
            if self.occurring is not None:
                raise ValueError("a network over a tokenizer predicts all of its tokens")
        elif self.size != ALPHABET_SIZES[self.kind]:
            raise ValueError(f"the alphabet {self.kind} has {ALPHABET_SIZES[self.kind]} symbols, got {self.size}")
        if any(b not in self.declared for b in self.listed or ()) or self.listed == b"":
            raise ValueError("the bytes that occur are some of the declared alphabet")
        if self.start >= self.predicted:
            raise ValueError(f"the start is one of the {self.predicted} symbols of the network, got {self.start}")
        return self

    @property
    def declared(self) -> bytes:
        """The bytes of the declared alphabet, in order; none of a tokenizer."""
        return {"bytes": bytes(range(256)), "ascii97": ASCII97, "tokenizer": b""}[self.kind]

    @property
    def listed(self) -> bytes | None:
        """The bytes that the network knows, in order, where they are listed."""
        if self.occurring is None:
            return None
        return _bytes_in(self.occurring)

    @property
    def predicted(self) -> int:
        """How many symbols the network predicts."""
        listed = self.listed
        return self.size if listed is None else len(listed)


@functools.lru_cache(maxsize=64)  # asked for with every window of a text
def _bytes_in(mask: str) -> bytes:
    places = int(mask, 16)
    return bytes(b for b in range(256) if places >> b & 1)


def mask_of(listed: bytes) -> str:
    """Return the mask of some bytes, 64 hex digits."""
    return f"{sum(1 << b for b in set(listed)):064x}"


class PredictionSpec(SparseRecord):
    """How a network's logits become losses: smoothing, centre and windows; every field is a place in a menu.

    kappa: of a stream; centre: of positions and documents. context: log2 of a window, from 2^3 on. stride: in quarters
    of a window: the next one starts that much later, and predicts so many symbols, the first one all of its own. Of
    positions and documents each has a window of its own, and there is no stride.
    """

    LEFT_OUT = ("kappa", "centre", "stride")

    alpha: int = Field(ge=0, lt=len(ALPHAS))
    kappa: int | None = Field(default=None, ge=0, lt=len(KAPPAS))
    centre: int | None = Field(default=None, ge=0, lt=CENTRES)
    context: int = Field(ge=0, lt=CONTEXTS)
    stride: int | None = Field(default=None, ge=1, le=STRIDES)

    @model_validator(mode="after")
    def _one_centre(self) -> Self:
        if (self.kappa is None) == (self.centre is None) or (self.kappa is None) != (self.stride is None):
            raise ValueError("a stream has kappa and a stride; positions and documents have one centre and no stride")
        return self

    @property
    def smoothing(self) -> float:
        """alpha."""
        return ALPHAS[self.alpha]

    @property
    def centre_words(self) -> str:
        """The centre of every loss, in words."""
        return f"centre {self.constant} bits" if self.kappa is None else f"kappa {KAPPAS[self.kappa]:g}"

    @property
    def constant(self) -> float | None:
        """The one centre of positions and documents, in bits."""
        return None if self.centre is None else self.centre / 16

    def ceiling(self, size: int) -> float:
        """M in bits: no loss over a vocabulary of `size` symbols exceeds it, tolerance included; rounded up."""
        return ceiling_bits(self.smoothing, size)

    @property
    def window(self) -> int:
        """Symbols in a window."""
        return 1 << FIRST_CONTEXT + self.context

    @property
    def step(self) -> int:
        """Symbols by which the next window starts later; the whole window where each unit has its own."""
        return self.window * (self.stride or STRIDES) // STRIDES


def place_of_window(window: int) -> int:
    """Return the place of a window of 2^k symbols in the menu: `context` of a prediction.

    >>> place_of_window(8), place_of_window(256)
    (0, 5)
    """
    return window.bit_length() - 1 - FIRST_CONTEXT


def ceiling_bits(alpha: float, size: int) -> float:
    """Return M in bits: no smoothed loss over `size` symbols exceeds it, tolerance included; rounded up."""
    return math.nextafter(math.log2(size / alpha) + 2 * TOLERANCE_BITS, math.inf)


def difference_range(alpha: float, size: int) -> float:
    """Return R in bits: losses of two smoothed predictions over `size` symbols differ by at most R, rounded up.

    A loss lies in [-log2(1 - alpha + alpha / size), log2(size / alpha)].
    """
    return (math.log2(size / alpha) + math.log2(1 - alpha + alpha / size)) * (1 + 2.0**-48)


class UnitsSpec(SparseRecord):
    """What the losses are losses of.

    stream: every symbol of the text. positions: `count` of them, drawn with replacement from a seed. documents: what
    stands between separators, each by the mean loss of its first window. answers: pairs of a prompt and its answer,
    each by the mean loss of the answer's symbols and of the separator that ends it. distinct: of answers, how many
    prompts there are, of documents, how many first windows. repeats: why some stand twice.
    """

    LEFT_OUT = ("count", "seed", "separator", "distinct", "repeats")

    statement: Statement = "stream"
    count: int | None = Field(default=None, ge=1, le=MAX_SYMBOLS)
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    separator: str | None = Field(
        default=None, pattern="^([0-9a-f]{2}){1,32}$"
    )  # hex: control characters stay readable
    distinct: int | None = Field(default=None, ge=1, le=MAX_SYMBOLS)
    repeats: Reason | None = None

    @model_validator(mode="after")
    def _own_fields(self) -> Self:
        drawn = self.statement == "positions"
        if (self.count is not None, self.seed is not None) != (drawn, drawn):
            raise ValueError("positions have a count and a seed, and nothing else has")
        apart = self.statement in ("documents", "answers")
        if (self.separator is not None, self.distinct is not None) != (apart, apart):
            raise ValueError(
                "documents and answers have a separator and say how many are distinct, and nothing else does"
            )
        if self.repeats is not None and not apart:
            raise ValueError("documents and answers may repeat, and nothing else has a reason to")
        return self

    @property
    def apart(self) -> str:
        """What the distinct ones are."""
        return "prompts" if self.statement == "answers" else "first windows of documents"

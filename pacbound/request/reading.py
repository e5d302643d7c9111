"""How the user's own source is read where it does not say so itself; it says what the sample is."""

from typing import Literal

from pydantic import Field

from ..records import Record

Layout = Literal["auto", "chw", "hwc"]
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"  # of data or of a network, in a certificate


class Reading(Record):
    """layout: the order of axes in stored pictures; auto takes (n, height, width, 1 or 3) in uint8 for hwc.

    text_column, label_column: of tables and rows, by default text (of rows also image and the like) and label.
    encoding: of files of text. classes: how many there are, where not all of them occur. name: what the certificate
    calls the sample.
    """

    layout: Layout = "auto"
    text_column: str | None = None
    label_column: str | None = None
    encoding: str = "utf-8"
    classes: int | None = Field(default=None, ge=2, le=1 << 20)
    name: str | None = Field(default=None, pattern=NAME)

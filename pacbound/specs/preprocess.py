"""What is done to stored examples before the network: one of a closed menu, by constants fixed before the data.

An expression names it: NAME; NAME@S for pictures resized to S x S; NAME@S/C for pictures of which the shorter side is
resized to S and the middle C x C kept; tokens@L for texts of which L tokens are kept; columns for rows of numbers that
are standardised by constants of a file, learned by those of the share of the sample that theta0 saw.
"""

import re
from typing import ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ..errors import RequestError
from ..records import SparseRecord

# Orders are part of the format: a position is what the message codes. New names join at the end.
PreprocessName = Literal[
    "none", "ink", "photo", "digits", "imagenet", "clip", "lite", "half", "tokens", "columns", "learned"
]
PREPROCESS_NAMES: tuple[PreprocessName, ...] = PreprocessName.__args__  # type: ignore[attr-defined]
SHORT_NAMES = PREPROCESS_NAMES[:4]  # without sizes, these have a code of two bits

# name -> (scale, mean, std) of x' = (x / scale - mean) / std: one mean and std for all channels, or three of them, to
# which grey pictures are repeated. Round numbers, chosen before any data, and the conventions of published networks:
# those of ImageNet, of CLIP, of the EfficientNet-Lite family, and of -1 .. 1.
PREPROCESS: dict[PreprocessName, tuple[float, tuple[float, ...], tuple[float, ...]]] = {
    "none": (1.0, (0.0,), (1.0,)),
    "ink": (255.0, (0.125,), (0.3125,)),
    "photo": (255.0, (0.5,), (0.25,)),
    "digits": (16.0, (0.25,), (0.375,)),
    "imagenet": (255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": (255.0, (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "lite": (1.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "half": (255.0, (0.5,), (0.5,)),
}

OF_A_FILE = ("tokens", "columns")  # which was fixed before the sample
DIGESTED = (*OF_A_FILE, "learned")
MAX_SIDE = 1024
MAX_LENGTH = 8192
USUAL_LENGTH = 128  # of texts, in tokens
EXPRESSION = re.compile(r"(?P<name>[a-z]+)(?:@(?P<size>[0-9]{1,9})(?:/(?P<crop>[0-9]{1,9}))?)?")


class PreprocessSpec(SparseRecord):
    """One map of the menu. All but sha256 is coded.

    name: which constants, or tokens. resize: pictures become S x S; with crop the shorter side becomes S, and the
    middle, crop x crop, is kept. length: of texts in tokens, of which the rest is cut off. sha256: of the file of the
    tokenizer, or of the constants of columns, those that are learned being written as columns.py writes them.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("resize", "crop", "length", "sha256")

    name: PreprocessName = "none"
    resize: int | None = Field(default=None, ge=1, le=MAX_SIDE)
    crop: int | None = Field(default=None, ge=1, le=MAX_SIDE)
    length: int | None = Field(default=None, ge=1, le=MAX_LENGTH)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @property
    def short(self) -> bool:
        """Whether the code of two bits says it all."""
        return self.name in SHORT_NAMES and self.resize is None

    @property
    def text(self) -> str:
        """The expression that names it, see `parse_preprocess`."""
        sizes = f"@{self.length}" if self.length else f"@{self.resize}" if self.resize else ""
        return f"{self.name}{sizes}{f'/{self.crop}' if self.crop else ''}"

    @model_validator(mode="after")
    def _own_fields(self) -> Self:
        if (self.name in DIGESTED) != (self.sha256 is not None):
            raise ValueError("tokens and columns have the SHA-256 of a file or of constants, and nothing else has")
        if (self.name == "tokens") != (self.length is not None):
            raise ValueError("tokens have a length, and nothing else has")
        if self.resize is not None and self.name in DIGESTED:
            raise ValueError("only pictures are resized")
        if self.crop is not None and (self.resize is None or self.crop > self.resize):
            raise ValueError("what is cropped is resized first, to no less than the crop")
        return self


def parse_preprocess(expression: str, sha256: str | None = None) -> PreprocessSpec:
    """Return what an expression names. sha256: of the file, for tokens and columns.

    >>> parse_preprocess("imagenet@256/224").crop, parse_preprocess("photo").text
    (224, 'photo')

    Raises: RequestError where it names nothing of the menu.
    """
    match = EXPRESSION.fullmatch(expression)
    if match is None or match["name"] not in PREPROCESS_NAMES:
        raise RequestError(
            f"preprocess: one of {', '.join(PREPROCESS_NAMES)}, with sizes such as lite@128, imagenet@256/224 or "
            f"tokens@64, got {expression!r}."
        )
    tokens = match["name"] == "tokens"
    size = None if match["size"] is None else int(match["size"])
    fields = {"length": USUAL_LENGTH if size is None else size} if tokens else {"resize": size}
    crop = None if match["crop"] is None else int(match["crop"])
    try:
        file = sha256 if match["name"] in DIGESTED else None
        return PreprocessSpec.model_validate({"name": match["name"], "crop": crop, "sha256": file, **fields})
    except ValidationError as cause:
        why = cause.errors()[0]["msg"].removeprefix("Value error, ")
        raise RequestError(
            f"preprocess: {why}; sides are 1 to {MAX_SIDE} pixels and texts 1 to {MAX_LENGTH} tokens, got "
            f"{expression!r}."
        ) from None

"""Which parameters of a network are trained, as a word: the rest is frozen and part of theta0."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

ALL, HEAD = "all", "head"
LORA = "lora:"
MAX_RANK = 1 << 10
MAX_PATTERN = 128
PATTERN = re.compile(r"[!-~]{1,128}")  # printable ASCII, 7 bits a character in the message


def _word(word: str) -> str:
    if word.startswith(LORA):
        rank = word.removeprefix(LORA)
        if not re.fullmatch(r"[1-9][0-9]{0,3}", rank) or int(rank) > MAX_RANK:
            raise ValueError(f"lora has a rank in 1..{MAX_RANK}, as in lora:8")
    elif not PATTERN.fullmatch(word):
        raise ValueError(f"a pattern of names is 1 to {MAX_PATTERN} printable ASCII characters")
    return word


# `head`, `lora:RANK`, or a pattern of names of parameters in which * and ? stand for anything
TrainedWord = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_word)]

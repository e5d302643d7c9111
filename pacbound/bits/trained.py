"""The price of training a part of a network: a word of specs/trained.py, coded for both directions."""

from ..errors import MessageError
from ..specs.trained import HEAD, LORA, MAX_PATTERN, MAX_RANK
from .coder import Stream

ITEM = "trained part"
WHY = "which parameters are trained: the head, adapters of some rank, or those that a pattern names"
KINDS = ("head", "pattern", "lora")  # by the gamma code of their place; new kinds join at the end
CHARACTER_BITS = 7


def code_trained(stream: Stream, word: str | None) -> str:
    """Carry a word: 1 bit for the head, 3 and a gamma code for a rank, 3 and 7 bits a character for a pattern.

    Raises: MessageError where what is decoded is no word, or one that has a shorter code.
    """
    kind = stream.gamma(ITEM, WHY, None if word is None else KINDS.index(_kind(word)))
    if kind >= len(KINDS):
        raise MessageError(f"unpack: a trained part is one of {', '.join(KINDS)}, got kind number {kind}.")
    if KINDS[kind] == "head":
        return HEAD
    if KINDS[kind] == "lora":
        rank = 1 + stream.gamma(ITEM, WHY, None if word is None else int(word.removeprefix(LORA)) - 1)
        if rank > MAX_RANK:
            raise MessageError(f"unpack: adapters have a rank in 1..{MAX_RANK}, got {rank}.")
        return f"{LORA}{rank}"
    length = 1 + stream.gamma(ITEM, WHY, None if word is None else len(word) - 1)
    if length > MAX_PATTERN:  # before so many characters are read
        raise MessageError(f"unpack: a pattern of names has 1 to {MAX_PATTERN} characters, got {length}.")
    codes = [stream.integer(ITEM, CHARACTER_BITS, WHY, None if word is None else ord(word[k])) for k in range(length)]
    pattern = "".join(map(chr, codes))
    if _kind(pattern) != "pattern":
        raise MessageError(f"unpack: {pattern!r} has a word of its own and is no pattern.")
    return pattern


def _kind(word: str) -> str:
    if word == HEAD:
        return "head"
    return "lora" if word.startswith(LORA) else "pattern"

"""Ask a language model about texts whose future is changed: does what it says of a position depend on what follows?

The bounds of bounds/language.py are about predictions that are functions of the past alone.
"""

import torch
from torch import Tensor, nn

from ..errors import ModelError, first_line
from ..specs.grammar import OWN_NETWORK
from ..subspace.random import integers, permutation
from .passes import TIE

ROWS = 3
DESCRIBED = 64  # symbols of a text, of a network that is built from a description
CUTS = 16


def length_asked(model: str, window: int) -> int:
    """Return how long the texts are that a decoded network is asked about: a window, of described networks at most 64.

    model: the name of the network in a certificate.
    """
    return window if model == OWN_NETWORK else min(window, DESCRIBED)


@torch.no_grad()
def check_causal(network: nn.Module, vocabulary: int, length: int, seed: int = 0) -> None:
    """Refuse a language model whose answers depend on later symbols, on other rows, or on chance.

    Texts of random symbols are asked about; then with all symbols from a place on exchanged, and with these left out.
    Logits before the place stay within 5e-5 of the largest magnitude of their position, since other shapes are summed
    in another order. Places are the first and the last one and others at random, at most 16. A test, not a proof.

    Args: network: from ids (batch, T) int64 to logits (batch, T, V), V >= vocabulary. vocabulary: symbols that occur.
        length: T of the texts, as long as any that will be asked about. seed: of the symbols and places.
    Raises: ModelError.
    """
    if any(part.training for part in network.modules()):
        raise ModelError("check_causal: a network is asked in eval mode, got one that is being trained. Call eval().")
    ids, others = _texts(vocabulary, length, seed)
    first = _ask(network, ids, vocabulary)
    for row in range(ROWS):
        _compare(_ask(network, ids[row : row + 1], vocabulary), first[row : row + 1], "on the other texts of its batch")
    for place in _places(length, seed):
        changed = torch.cat([ids[:, :place], others[:, place:]], dim=1)
        _compare(_ask(network, changed, vocabulary)[:, :place], first[:, :place], _later(place))
        _compare(_ask(network, ids[:, :place], vocabulary), first[:, :place], _later(place))
    _compare(_ask(network, ids, vocabulary), first, "on chance, or on what was asked before")


def _texts(vocabulary: int, length: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two texts (rows, length) of random symbols that differ at every position."""
    drawn = [
        integers(seed, f"networks/causality/{name}", ROWS * length, below).reshape(ROWS, length)
        for name, below in (("symbols", vocabulary), ("others", vocabulary - 1))
    ]
    return torch.from_numpy(drawn[0]), torch.from_numpy((drawn[0] + 1 + drawn[1]) % vocabulary)


def _places(length: int, seed: int) -> list[int]:
    """Positions from 1 on: the first, the last, others in random order."""
    drawn = (1 + permutation(seed, "networks/causality/places", length - 1)).tolist() if length > 1 else []
    return list(dict.fromkeys([1, length - 1, *drawn] if drawn else []))[:CUTS]


def _ask(network: nn.Module, ids: Tensor, vocabulary: int) -> Tensor:
    try:
        logits = network(ids)
    except Exception as cause:  # whatever a user's own network raises
        raise ModelError(
            f"check_causal: a language model reads ids (batch, T), got for {tuple(ids.shape)} the error "
            f"{first_line(cause)!r}. Ask for a shorter context, or for the tokenizer that it was trained with."
        ) from cause
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else ()
    if len(shape) != 3 or shape[:2] != ids.shape or shape[2] < vocabulary:
        found = shape if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(
            f"check_causal: a language model returns logits (batch, T, V) for ids (batch, T), V at least {vocabulary}, "
            f"got {found} for {tuple(ids.shape)}."
        )
    if not bool(logits.isfinite().all()):
        raise ModelError("check_causal: logits are finite, got NaN or infinity. Repair the checkpoint.")
    answer: Tensor = logits.double()
    return answer


def _compare(one: Tensor, other: Tensor, depends: str) -> None:
    """Refuse answers (rows, T, V) to the same past that differ by more than half a tie margin."""
    margin = TIE / 2 * torch.minimum(one.abs().amax(2), other.abs().amax(2))
    worst = (one - other).abs().amax(2) - margin
    if bool((worst > 0).any()):
        position = int(torch.nonzero((worst > 0).any(0))[0, 0])
        raise ModelError(
            f"check_causal: what a language model says of a position depends on its past alone; this one's logits at "
            f"position {position} depend {depends}. Mask attention, pad on the left alone, freeze batch statistics."
        )


def _later(place: int) -> str:
    return f"on symbols that come later: those from position {place} on change what is said of earlier ones"

"""Text samples of the experiments, as callables for --data: a part for the certificate, the rest held out.

PACBOUND_DATA names the data root with text/clickbait (headlines) and text/rt-polarity (sentences of film reviews).
"""

import os
from pathlib import Path

import numpy as np

from pacbound.data.examples import Examples
from pacbound.data.registry import load
from pacbound.request.reading import Reading
from pacbound.subspace.random import permutation

CERTIFIED = {"clickbait": 30_000, "rt-polarity": 9_600}
FEW = 1_500  # of them, where whole networks are compared
ENCODINGS = {"clickbait": "utf-8", "rt-polarity": "cp1252"}


def _part(name: str, held_out: bool) -> Examples:
    """Return the first examples of a fixed permutation, or the others."""
    folder = Path(os.environ["PACBOUND_DATA"]) / "text" / name
    whole = load(str(folder), reading=Reading(encoding=ENCODINGS[name], name=name))
    order = permutation(0, "results/backbones", whole.n).copy()
    certified, rest = order[: CERTIFIED[name]], order[CERTIFIED[name] :]
    if not held_out:
        return whole.subset(certified)
    letters = np.sort(whole.x.numpy(), axis=1)  # what stands in both but for the order of its letters is left out
    known = {row.tobytes() for row in letters[certified]}
    return whole.subset(np.array([row for row in rest if letters[row].tobytes() not in known]))


def clickbait() -> Examples:
    """30,000 of 32,000 headlines: is it clickbait?"""
    return _part("clickbait", held_out=False)


def clickbait_rest() -> Examples:
    """The other 2,000, but for one."""
    return _part("clickbait", held_out=True)


def reviews() -> Examples:
    """9,600 of 10,662 sentences: is the review positive?"""
    return _part("rt-polarity", held_out=False)


def clickbait_few() -> Examples:
    """1,500 of these 30,000 headlines."""
    return clickbait().subset(range(FEW))


def reviews_few() -> Examples:
    """1,500 of these 9,600 sentences."""
    return reviews().subset(range(FEW))


def reviews_rest() -> Examples:
    """The other 1,062."""
    return _part("rt-polarity", held_out=True)

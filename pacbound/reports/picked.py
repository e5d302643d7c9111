"""What a certificate of picks says, in words: the examples, how they were picked, the learner, and its network."""

import shlex
from typing import NamedTuple

from ..certificate.schema import Certificate

ORDERS = {
    "priority": "misclassified examples in a random order: by SHA-256 of seed {seed}, example and label",
    "worst": "misclassified examples, those of the largest loss first",
    "boundary": "misclassified examples, those nearest to the decision boundary first",
}
AUGMENTATIONS = {
    "elastic": "images bent, turned, scaled, sheared and moved at random",
    "flip_crop": "images mirrored and moved at random",
    "affine": "images turned, scaled, sheared and moved at random",
    "flip_affine": "images mirrored, turned, scaled, sheared and moved at random",
    "shift": "images moved at random",
    "none": "examples as they are",
}
ON_ITS_WORD = (
    "That the learner makes this network from the picked examples, and the selection picks these, is its author's word "
    "until they are run again (verify --level replay)."
)
ELSEWHERE_ANOTHER = (
    "Another machine may round otherwise and make another network from the same recipe: about that one nothing is said."
)


class Thumbnail(NamedTuple):
    """A picked example as a page shows it. source: an address that holds the picture itself."""

    source: str
    label: str
    place: str


class Strip(NamedTuple):
    """Pictures under one heading, or a heading alone that says why there are none."""

    heading: str
    pictures: tuple[Thumbnail, ...] = ()


def not_shown(certificate: Certificate, file: str) -> tuple[Strip, ...]:
    """Return how to see what was picked; nothing where nothing was. file: of the certificate."""
    part = certificate.picks
    if part is None or not part.picked:
        return ()
    command = f"pacbound report {shlex.quote(file)} --data DATA -o report.html"
    about = f"{part.picked:,} examples were picked. They are not in the certificate, which names them by their places"
    return (Strip(f"{about}: {command} shows them, DATA being {certificate.data.name}."),)


def facts_of_picks(certificate: Certificate) -> list[tuple[str, str]]:
    """Return the rows (name, value) on what was compressed, none where nothing was picked."""
    part, spec, n = certificate.picks, certificate.hypothesis.quantizer, certificate.risk.n
    if part is None or spec is None or spec.kind != "picks":
        return []
    recipe = spec.recipe
    trained = f"{recipe.steps} + {recipe.epochs} t / {recipe.batch} steps for t picks, in batches of {recipe.batch}"
    stopped = "where nothing was left to pick" if spec.ended else f"at size number {spec.stop} of these"
    return [
        (
            "picked",
            f"{part.picked:,} of {n:,} examples; {part.errors:,} errors on the others; "
            f"k = {part.picked + part.errors:,}",
        ),
        ("order of picking", ORDERS[recipe.order].format(seed=recipe.seed)),
        (
            "growth",
            f"first {recipe.first} examples, then each time {recipe.growth}/16 of those picked so far, at least one; "
            f"stopped {stopped}",
        ),
        ("learner", f"each time {trained}, Adam at rate {recipe.rate / 1e6:g}, seed {recipe.seed}, on {recipe.device}"),
        ("augmentation", AUGMENTATIONS[recipe.augmentation]),
        ("indices", f"{part.bits:,} bits, not charged: the theorem charges how many were picked, never which"),
    ]


def picked_network(certificate: Certificate) -> str | None:
    """Say which network was made from picks, and where it lies; None where none was."""
    spec = certificate.hypothesis.quantizer
    if spec is None or spec.kind != "picks":
        return None
    return f"{certificate.hypothesis.model}, in {spec.file} beside this certificate ({spec.size:,} bytes)"


def not_said_of_picks(certificate: Certificate) -> tuple[str, ...]:
    """Return what a certificate of picks does not say of its network."""
    spec = certificate.hypothesis.quantizer
    if spec is None or spec.kind != "picks":
        return ()
    about = f"It is about the network in {spec.file}: not about what further training would make of it."
    return (about, ON_ITS_WORD, ELSEWHERE_ANOTHER)

"""Records of sample compression: the fixed learner, where it stops, and the list of sizes at which it may stop.

Whatever the learner is reaches the statement, so that every field is coded: by its place in a short menu, the first
entry costing 1 bit, the next two 3, the next four 5.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from ..records import Record

SIZES = 64  # of T at most, so that naming the one where the selection stopped costs 6 bits
END = SIZES - 1  # the stop where nothing is left to pick, which is no place in the list
Order = Literal["priority", "worst", "boundary"]
Augmentation = Literal["elastic", "flip_crop", "affine", "flip_affine", "shift", "none"]
GROWTH_PARTS = 16

# field -> its values, in the order of their prices; a further value joins at the end
MENUS: dict[str, tuple[str | int, ...]] = {
    "order": ("priority", "worst", "boundary"),
    "first": (16, 64, 256, 1024, 32, 128, 8, 512, 4),
    "growth": (4, 8, 2, 3, 6, 5, 1),
    "steps": (200, 100, 400, 50, 800, 25, 1600),
    "epochs": (8, 16, 4, 2, 32, 1, 0),
    "batch": (64, 128, 32, 256, 16, 512),
    "augmentation": ("elastic", "flip_crop", "affine", "flip_affine", "shift", "none"),
    "rate": (2000, 1000, 4000, 500, 8000, 30000, 250),
    "device": ("cpu", "cuda"),
}


class RecipeSpec(Record):
    """A deterministic learner, from an ordered list T of examples to a network.

    order: of the examples to pick, see picking/order.py. seed: of that order and of whatever noise the learner has.
    first, growth: T grows to `first` examples, then each time by growth/16 of itself, rounded down, at least by 1.
    steps, epochs: after each growth the learner takes steps + epochs * |T| / batch steps. augmentation: of picking/
    augment.py. rate: rate of Adam, in millionths. device: what it runs on.
    """

    order: Order = "priority"
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    first: int = 16
    growth: int = 4
    steps: int = 200
    epochs: int = 8
    batch: int = 64
    augmentation: Augmentation = "elastic"
    rate: int = 2000
    device: Literal["cpu", "cuda"] = "cpu"

    @model_validator(mode="after")
    def _of_the_menus(self) -> Self:
        for name, menu in MENUS.items():
            if (value := getattr(self, name)) not in menu:
                raise ValueError(f"{name} is one of {', '.join(map(str, menu))}, got {value!r}")
        return self


def sizes(recipe: RecipeSpec, n: int) -> tuple[int, ...]:
    """Return the sizes of T at which the selection may stop, ascending from 0, at most 64 and none above n.

    >>> sizes(RecipeSpec(first=16, growth=4), 40)
    (0, 16, 20, 25, 31, 38, 40)
    """
    listed, size = [0], min(recipe.first, n)
    while len(listed) < SIZES and listed[-1] < n:
        listed.append(size)
        size = min(n, size + max(1, size * recipe.growth // GROWTH_PARTS))
    return tuple(listed)


class PicksSpec(Record):
    """A network that a learner makes from picked examples; it stands in a file beside the certificate.

    stop: place in the list of `sizes`, or 63 where nothing was left to pick. sha256 (hex) and size (bytes) of the file.
    """

    kind: Literal["picks"] = "picks"
    recipe: RecipeSpec
    stop: int = Field(ge=0, lt=SIZES)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=1 << 28)

    @property
    def file(self) -> str:
        """Bare name of the file."""
        return f"{self.sha256[:16]}.safetensors"

    @property
    def ended(self) -> bool:
        """Whether the selection went on until nothing was left to pick."""
        return self.stop == END

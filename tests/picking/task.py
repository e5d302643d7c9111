"""Selections of a second: clouds with noisy labels, tiny networks, and what the network of a round misclassifies."""

import hashlib
import struct

import torch
from safetensors.torch import load
from torch import Tensor, nn

from pacbound.data.examples import Examples
from pacbound.picking.selection import Round, Selection
from pacbound.specs.picks import RecipeSpec
from pacbound.specs.specs import PreprocessSpec
from tests.tiny import CLASSES, FEATURES, clouds

PLAIN = PreprocessSpec(name="none")
TIE = 1e-4


def recipe(**fields: object) -> RecipeSpec:
    """A learner of 7 steps a round, fewer than a certificate can name, at a high rate and without augmentation."""
    quick = {"first": 4, "growth": 8, "epochs": 0, "batch": 16, "rate": 30000, "augmentation": "none"}
    return RecipeSpec.model_validate({**quick, **fields}).model_copy(update={"steps": 7})


def noisy(n: int = 150, share: float = 0.15, seed: int = 0) -> Examples:
    """Clouds of which a share has another label."""
    x, y = clouds(n, seed)
    generator = torch.Generator().manual_seed(100 + seed)
    flipped = torch.rand(n, generator=generator) < share
    y = torch.where(flipped, (y + 1 + torch.randint(CLASSES - 1, (n,), generator=generator)) % CLASSES, y)
    return Examples("clouds", x, y, classes=CLASSES)


def network(seed: int = 0) -> nn.Module:
    """6 -> 3, linear: a selection asks no more of a network."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        return nn.Linear(FEATURES, CLASSES)


def normalised(seed: int = 0) -> nn.Module:
    """6 -> 8 -> 3 with batch normalisation, whose running statistics are the learner's."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES))


class Broken(nn.Module):
    """Says that nothing is known."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        said = self.layer(x)
        return torch.where(said == said, torch.nan, said)  # and no gradient


def select(examples: Examples, module: nn.Module | None = None, last: int = 63, **fields: object) -> list[Round]:
    """All rounds of a selection."""
    module = network() if module is None else module
    return list(Selection(module, examples, PLAIN, recipe(**fields)).rounds(last, progress=False))


def logits_of(one: Round, module: nn.Module, x: Tensor) -> Tensor:
    """What the network of a round says, by other means: the file loaded strictly, all rows at once, in float64."""
    module.load_state_dict(load(one.network))
    with torch.no_grad():
        return module.double().eval()(x.double())


def wrong(logits: Tensor, y: Tensor) -> list[bool]:
    """Which labels do not lead by more than a near tie, row by row."""
    found = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        rivals = [value for k, value in enumerate(row) if k != label]
        lead = row[label] - max(rivals)
        found.append(not lead > TIE * max(map(abs, row)))
    return found


def priority(examples: Examples, row: int, seed: int) -> bytes:
    """SHA-256 of seed, bytes and label of one example, written without the package."""
    numbers = examples.x[row].flatten().tolist()
    kind = {torch.uint8: "B", torch.float16: "e", torch.float32: "f", torch.float64: "d"}[examples.x.dtype]
    raw = struct.pack("<q", seed) + struct.pack(f"<{len(numbers)}{kind}", *numbers)
    return hashlib.sha256(raw + struct.pack("<q", int(examples.y[row]))).digest()

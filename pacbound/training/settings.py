"""Settings of the posterior encoder, and what follows from them: stages scaled to a number of steps, blocks of d."""

from pydantic import Field

from ..records import Record
from ..subspace.curvature import DENSE_DIMENSION
from ..subspace.low_rank import RANK

# Examples of a Fisher for each coefficient: with r of them eigenvalues are off by (1 +- r^-1/2)^2 (Marchenko, Pastur).
FISHER_ROWS = 12
BLOCKS_DIMENSION = 1000  # d below which a Fisher before blocks gains nothing: few examples are near the boundary then
PART_STEPS = 1000  # of the bounded stage, below which the Fisher is not worth measuring again
COMPARED_BETA_SCALE = 0.7  # of B + e instead of B, near e = 2 % and B = 6 %, where dB/de = 1.6: times 1.6 / 2.6


class PosteriorSettings(Record):
    """How the encoder works; nothing here reaches the receiver. Steps are gradient steps of `batch` examples.

    Steps are the same for any n: a small sample is passed over more often. beta of the bounded stages follows from
    the bound (posterior.py) times beta_scale; a little above 1, because errors fall when the rest is retrained and
    nats do not.

    curvature=False trains in the raw coordinates; refreshes says how many times the Fisher is measured again, each
    before as long a part of the bounded stage, and if that is more than once and d large, before each block but the
    first, too; 0 keeps the first one; fisher_examples is the most that a Fisher has; bounded=False stays with
    cross-entropy; blocks=1 rounds all at once; beam=1 is Babai's rule; identity=True rounds as if the precision were
    diagonal; trellis=False leaves every coefficient on one lattice; refine_rounds=0 makes no final moves.
    """

    batch: int = Field(default=250, ge=1)
    warm_steps: int = Field(default=1200, ge=0)
    smooth_steps: int = Field(default=2400, ge=1)
    bounded_steps: int = Field(default=4000, ge=0)
    block_steps: int = Field(default=300, ge=0)
    first_scale: float = Field(default=0.05, gt=0)
    smooth_beta: float = Field(default=4.0, gt=0)
    beta_scale: float = Field(default=1.1, gt=0)
    curvature: bool = True
    refreshes: int = Field(default=3, ge=0)
    bounded: bool = True
    fisher_examples: int = Field(default=FISHER_ROWS * DENSE_DIMENSION, ge=1)
    identity: bool = False
    trellis: bool = True
    kap: float = Field(default=4.4, gt=0)
    blocks: int = Field(default=10, ge=1)
    beam: int = Field(default=512, ge=1)
    survivors: int = Field(default=8, ge=1)
    refine_rounds: int = Field(default=8, ge=0)
    refine_trials: int = Field(default=60, ge=0)
    overhead_bits: int = Field(default=72, ge=0)

    @property
    def bounded_parts(self) -> list[int]:
        """Steps of each part of the bounded stage, which the first ones have one more of; none where it is left out."""
        if not self.bounded:
            return []
        parts = max(1, self.refreshes)
        return [self.bounded_steps // parts + (k < self.bounded_steps % parts) for k in range(parts)]

    def examples_of(self, free: int) -> int:
        """Examples of the Fisher of so many coefficients; beyond the dense one only leading directions are found."""
        return min(self.fisher_examples, FISHER_ROWS * (free if free <= DENSE_DIMENSION else RANK))

    def matrices(self, d: int) -> list[int]:
        """Free coefficients of each Fisher: before the smooth stage, each bounded part, each block but the first."""
        later = [d - edge for edge in block_edges(d, self.blocks)[1:-2]] if self.again_in_blocks(d) else []
        return [d] * (self.curvature + self.again * self.refreshes) + later

    @property
    def again(self) -> bool:
        """Whether the Fisher is measured again."""
        return self.curvature and self.bounded and self.refreshes > 0

    def again_in_blocks(self, d: int) -> bool:
        """Whether it is measured before blocks, too."""
        return self.again and self.refreshes > 1 and d >= BLOCKS_DIMENSION

    @property
    def steps(self) -> int:
        """Gradient steps of all stages together."""
        first = self.warm_steps + self.smooth_steps + sum(self.bounded_parts)
        return first + (self.blocks - 1) * self.block_steps


def posterior_settings(batch: int, steps: int | None, drawn: bool = False, compared: bool = False) -> PosteriorSettings:
    """Return the default settings, their stages scaled to `steps` gradient steps in all where it is given, with fewer
    rounds of refinement where these are fewer steps.

    drawn: nothing is rounded afterwards, so there are no blocks and beta is that of the bound. compared: an error
    counts once more, as a disagreement, which makes bits cheaper.
    """
    default = PosteriorSettings(batch=batch, blocks=1, beta_scale=1.0) if drawn else PosteriorSettings(batch=batch)
    if compared:
        default = default.model_copy(update={"beta_scale": COMPARED_BETA_SCALE})
    if steps is None:
        return default
    names = ("warm_steps", "smooth_steps", "bounded_steps", "block_steps")
    scaled = {name: max(1, round(getattr(default, name) * steps / default.steps)) for name in names}
    parts = max(1, min(default.refreshes, scaled["bounded_steps"] // PART_STEPS))
    rounds = max(1, round(default.refine_rounds * min(1.0, steps / default.steps)))
    return default.model_copy(update={**scaled, "refreshes": parts, "refine_rounds": rounds})


def block_edges(d: int, blocks: int) -> list[int]:
    """Return 0 = e_0 < ... < e_k = d: e_j near d (1 - (1 - j / blocks)^2), so that blocks shrink towards the end.

    What is left after the first is at most DENSE_DIMENSION, for it is diagonalised again.
    """
    edges = {round(d * (1 - (1 - j / blocks) ** 2)) for j in range(blocks + 1)}
    return sorted({edge for edge in edges if d - edge <= DENSE_DIMENSION} | {0, d})

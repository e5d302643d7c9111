"""What a certification would do, without doing it: sizes, epochs, seconds, memory and a typical ledger."""

import functools
import math
from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..bits.codes import fit_code
from ..bits.ledger import Entry
from ..bits.message import pack
from ..bits.weights import fit_tables
from ..certificate.accounting import Comparison, complete
from ..data.preprocess import preprocessed
from ..networks.passes import batch_for
from ..records import Record
from ..specs.grammar import OWN_NETWORK
from ..specs.specs import PROFILE_CODE, PROFILE_REACH, CodebookSpec, DrawSpec, LatticeSpec, QuantizerSpec, TrellisSpec
from ..subspace.curvature import LARGE
from ..subspace.ekfac import Ekfac
from ..subspace.subspace import Subspace
from ..threads import measured_threads
from ..training.fit import Sample
from ..training.plain import Candidate, PlainPlan, one_step
from ..training.settings import PosteriorSettings
from ..training.state import Checkpoint
from ..training.timing import within
from ..training.weights import WeightsPlan
from .capturing import timed
from .costs import Work, amounts_of, asking, checking, counting, measured, ranking
from .encoding import BATCH, POSTERIOR_TRAINING_SHARE, batch_of, plan_of, seconds_a_pass
from .memory import directions_bytes, peak_bytes
from .preparation import Setup, sample_of
from .starting import seconds_to_start

TYPICAL_SPREAD = 1.2  # standard deviation of trained symbols, in steps: about 2.3 bits a coefficient
TYPICAL_PROFILE = TrellisSpec(scale_index=68, kap=44, c0=29, c1=4, c2=1)
TYPICAL_DRAW = DrawSpec(scale_index=68, index=1, sha256="0" * 64, size=0)
WEIGHTS_MOVED, TYPICAL_WEIGHT_STEP = 0.1, 60  # share of the weights that training moves from theta0; step index
TYPICAL_RATIO = 1.9  # bits of ln dQ/dP a coefficient
NO_SYMBOLS = np.zeros(0, np.int32)


class Forecast(Record):
    """Sizes, epochs of all phases together, expected seconds on this machine on so many threads, memory beside
    the program, ledger.

    d: coefficients, None where there is no subspace. picks: how many examples are picked at most, None elsewhere.
    stages: seconds of each stage, in order, where they are told apart.
    """

    data: str
    n: int
    model: str
    D: int
    d: int | None
    epochs: int
    batch: int
    seconds: float
    threads: int
    memory_bytes: int
    ledger: tuple[Entry, ...]
    picks: int | None = None
    stages: dict[str, float] = Field(default_factory=dict)

    @property
    def bits(self) -> int:
        """Expected bits in all."""
        return sum(entry.bits for entry in self.ledger)


def forecast(setup: Setup, compared: Comparison | None = None, prepared: Mapping[str, float] | None = None) -> Forecast:
    """Time a few steps and lay out the ledger of a typical message. Trains nothing and writes nothing.

    compared: the inputs, where it is one of a surrogate. prepared: seconds that stages took of what a run does too.
    """
    reached = timed(setup, setup.request.batch or BATCH)
    setup = reached.setup
    sample, subspace, prepared = sample_of(setup), setup.subspace(), prepared or {}
    found = subspace.projector.seconds if isinstance(subspace.projector, Ekfac) else prepared.get("directions", 0.0)
    with measured_threads(one_step(subspace, sample, _quick_batch(setup, subspace, sample))):
        threads, plan = torch.get_num_threads(), plan_of(setup, Checkpoint(None, setup.key))
        stages = {
            **prepared,
            "theta0": seconds_to_start(setup),
            "features": reached.each * setup.train.n,
            "directions": found,
            **_stages(setup, plan, subspace, sample, Work(asked=reached.each, alone=reached.alone)),
        }
        peak = peak_bytes(subspace, sample, plan.batch, isinstance(plan, PosteriorSettings))
        peak += _read_bytes(setup, sample)
        if isinstance(subspace.projector, Ekfac):  # before what training reads is there
            module, few = setup.base.module, preprocessed(setup.train.x[:2], setup.preprocess)
            peak = max(peak, directions_bytes(module, few, subspace.layout.D))
    drawn = setup.request.posterior == "draw"
    sizes = [slot.stop - slot.start for slot in setup.base.layout.slots]
    typical = Candidate(NO_SYMBOLS, TYPICAL_DRAW, None) if drawn else _typical(plan, subspace.d, sizes)
    spec = setup.spec(typical)
    _, coded = pack(spec, typical.symbols)
    ratio_bits = round(TYPICAL_RATIO * subspace.d) if drawn else None
    return Forecast(
        data=setup.train.name,
        n=setup.train.n,
        model=setup.model,
        D=setup.base.layout.D,
        d=subspace.d,
        epochs=setup.request.encoder_seeds * _epochs(plan, setup.train.n),
        batch=plan.batch,
        seconds=round(sum(stages.values()), 3),
        threads=threads,
        stages={stage: round(seconds, 3) for stage, seconds in stages.items() if seconds},
        memory_bytes=setup.train.x.nbytes + peak,
        ledger=complete(
            coded,
            spec,
            setup.train.name,
            setup.digest,
            ratio_bits,
            compared=compared,
            methods=max(1, len(setup.methods)),
            like=setup.data.like,
            repeats=setup.data.repeats,
        ).entries,
    )


def _quick_batch(setup: Setup, subspace: Subspace, sample: Sample) -> int:
    """How many examples of a batch a step is timed with, to find how many threads are fastest."""
    batch = min(batch_of(setup), len(sample.x))
    return batch if subspace.layout.D > LARGE else within(lambda count: one_step(subspace, sample, count)(), batch)


def _stages(
    setup: Setup, plan: PlainPlan | PosteriorSettings | WeightsPlan, subspace: Subspace, sample: Sample, frozen: Work
) -> dict[str, float]:
    """Seconds of each stage after theta0, what reaches the trained part, and the subspace are there.

    frozen: seconds of asking a whole network before whose trained part all is frozen, or features; else nothing.
    """
    n, runs = setup.train.n, setup.request.encoder_seeds
    units = asking(subspace, sample)
    if isinstance(plan, PosteriorSettings):
        units = measured(subspace, sample, plan.batch, plan, units)
        amounts = amounts_of(plan, n, subspace.d)
        if setup.request.posterior == "draw":
            amounts = {stage: amounts[stage] for stage in ("training", "curvature")}
        stages = {stage: runs * amount.times(units) for stage, amount in amounts.items()}
    else:
        pass_seconds = seconds_a_pass(setup.request.encoder, subspace, sample, plan.batch)
        passes = _epochs(plan, n) / (1 if isinstance(plan, PlainPlan) else POSTERIOR_TRAINING_SHARE)
        stages = {"training": runs * passes * pass_seconds}
    stages["counting"] = runs * ranking(n, subspace.layout.D).times(units)
    for size in (n, 0 if setup.test is None else setup.test.n):
        stages["counting"] += counting(size).times(frozen if frozen.asked else units)
    if setup.model == OWN_NETWORK and subspace.layout.D > LARGE:
        answer = functools.partial(subspace.call_at, subspace.theta0)
        stages["checks"] = checking(batch_for(answer, sample.x)).times(units)
    return stages


def _read_bytes(setup: Setup, sample: Sample) -> int:
    """Bytes of all inputs as the network reads them; of one batch, and of halves, where they are made of these."""
    one, n, captured = sample.x[:1].nbytes, setup.train.n, setup.captured
    if captured is not None and captured.x.dtype == torch.float16:
        return captured.x[:1].nbytes * n + one * BATCH
    return one * (n if isinstance(sample.x, Tensor) else BATCH)


def _epochs(plan: PlainPlan | PosteriorSettings | WeightsPlan, n: int) -> int:
    """Passes over the sample that training takes."""
    if isinstance(plan, PlainPlan):
        return sum(plan.epochs)
    return math.ceil(plan.steps * min(plan.batch, n) / n)


def _typical(plan: PlainPlan | PosteriorSettings | WeightsPlan, d: int, sizes: list[int]) -> Candidate:
    """A message of symbols (d,) as training tends to leave them: on the lattice, or spread over a codebook.

    sizes: of the tensors, where every weight is coded: most of them stay 0.
    """
    if isinstance(plan, WeightsPlan):
        moved = [WEIGHTS_MOVED / 2, 1 - WEIGHTS_MOVED, WEIGHTS_MOVED / 2]
        sparse = np.random.default_rng(0).choice([-1, 0, 1], d, p=moved)
        spec = fit_tables(np.split(sparse, np.cumsum(sizes)[:-1]), [TYPICAL_WEIGHT_STEP] * len(sizes))
        return Candidate((sparse + PROFILE_REACH).astype(np.int32), spec, None)
    drawn = np.rint(np.random.default_rng(0).normal(0, TYPICAL_SPREAD, d)).astype(np.int32)
    if isinstance(plan, PosteriorSettings):
        symbols = np.clip(drawn, -PROFILE_REACH, PROFILE_REACH) + PROFILE_REACH
        return Candidate(symbols, TYPICAL_PROFILE, PROFILE_CODE)
    if plan.kind == "codebook":
        symbols = np.clip(drawn + plan.levels // 2, 0, plan.levels - 1)
        quantizer: QuantizerSpec = CodebookSpec(centroids=tuple(range(plan.levels)))
        return Candidate(symbols, quantizer, fit_code(symbols, plan.levels, plan.codes))
    half = int(np.abs(drawn).max())
    lattice = LatticeSpec(step_index=plan.step_index)
    return Candidate(drawn + half, lattice, fit_code(drawn + half, 2 * half + 1, plan.codes))

"""The one finish: candidate messages -> decoded networks -> risk -> ledger -> bound -> certificate.

It decodes each candidate message, counts the errors of what it decodes to, completes the ledger and applies the
theorem. No certificate is made elsewhere.
"""

import importlib.metadata
import math
import operator
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch

from ..bits.ledger import Ledger
from ..bits.message import Message, pack
from ..bits.units import orbit_saving
from ..bounds.claims import Bound, RiskEstimate
from ..bounds.preference import picks_classical
from ..bounds.table import headline_theorem, theorem
from ..certificate.accounting import complete
from ..certificate.draw import draw
from ..certificate.picked import PicksPart
from ..certificate.schema import Baseline, Certificate, Environment, HeldOut, MethodRow, OtherBound
from ..data.examples import Examples
from ..data.inputs import distinct_inputs
from ..data.mixed import Raw
from ..data.preprocess import Treated
from ..distributed import alike, each, first, slices
from ..errors import DataError
from ..networks.hypothesis import Hypothesis
from ..networks.passes import Network, ask, batch_for
from ..networks.risk import CUSTOM, evaluate, loss_function, losses_by
from ..specs.specs import DrawSpec, HypothesisSpec
from ..specs.tensors import DirectSpec
from ..training.plain import Candidate, Encoded
from .preparation import Setup

PACKAGES = ("pacbound", "torch", "numpy", "constriction", "python-flint")


@dataclass(frozen=True)
class Finished:
    """One candidate, decoded and counted. beside: the file of a draw or of a picked network; picks: of the latter."""

    spec: HypothesisSpec
    message: Message
    hypothesis: Hypothesis
    risk: RiskEstimate
    ledger: Ledger
    bound: Bound
    beside: bytes | None = None
    picks: PicksPart | None = None


def finish(setup: Setup, encoded: Encoded, seconds: dict[str, float], progress: bool = True) -> Certificate:
    """Issue the certificate of the best candidate of an encoder, w = 0 included. seconds: of the stages before.

    All candidates lie under one prior, so that picking the best of them is free; draws have their share of it, and
    delta is shared like the prior.
    Raises: DataError where the sample changed since the run began.
    """
    started = time.monotonic()
    best = best_of(setup, encoded.candidates, progress)
    also = beside(setup, best, progress)
    times = {**seconds, "counting": time.monotonic() - started}
    made = environment(times, encoded.epochs, (*setup.base.notes, *setup.notes))
    return issue(setup, best, made, also)


def beside(setup: Setup, best: Finished, progress: bool = True) -> tuple[OtherBound | Baseline, ...]:
    """Return what stands beside the bound of a candidate that was decoded and counted."""
    return (*_test_bound(setup, best.hypothesis, progress), baseline(setup), *_default_bound(setup, best))


def issue(setup: Setup, best: Finished, made_in: Environment, also: tuple[OtherBound | Baseline, ...]) -> Certificate:
    """Write the certificate of a candidate that was decoded and counted, with what stands beside its bound."""
    return Certificate.issue(
        bound=best.bound,
        risk=best.risk,
        ledger=best.ledger,
        message=best.message,
        data=setup.data,
        hypothesis=best.spec,
        beside=best.beside,
        picks=best.picks,
        theta0=setup.theta0,
        also=also,
        methods=tuple(MethodRow(name=name) for name in setup.methods),
        sweep=setup.sweep,
        environment=made_in,
    )


def best_of(setup: Setup, candidates: Sequence[Candidate], progress: bool = True) -> Finished:
    """Decode every candidate and w = 0 (but for direct codes), count errors; return the one of the smallest bound.

    Each is asked once at first. The whole count, which is dearer, never finds fewer errors, so that it goes from the
    best by one pass on to whoever is better by it than the best counted: as a rule no further than the first.

    Raises: DataError where the sample changed since the run began.
    """
    start = [] if setup.base.origin.kind == "zero" else [None]  # w = 0; a network of zeros is nobody's
    asked = [*start, *candidates]
    once = [_order(finish_one(setup, one, partial(_by_one_pass, setup))) for one in asked]
    best: list[Finished] = []  # one at most: large networks are dear to hold
    for place in first(lambda: sorted(range(len(asked)), key=once.__getitem__)):
        if best and not first(partial(operator.lt, once[place], _order(best[0]))):
            break
        whole = finish_one(setup, asked[place], partial(_by_whole, setup, progress=progress))
        best = [_smallest([*best, whole])]

    def unchanged() -> None:
        if best[0].risk.data_digest != setup.digest:
            raise DataError("certify: the examples changed between two passes. Certify a sample that stays as it is.")

    alike(unchanged)
    return best[0]


def environment(seconds: dict[str, float], epochs: float, notes: tuple[str, ...] = ()) -> Environment:
    """Return the versions of what computed, wall times by stage, the encoder's passes over the sample, and notes."""
    return Environment(
        versions=_versions() | {"python": platform.python_version()},
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
        epochs=round(epochs, 2) if epochs else None,
        notes=notes or None,
    )


@cache
def _versions() -> dict[str, str]:
    """Of the packages that compute; their metadata are read once a process."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def finish_one(setup: Setup, candidate: Candidate | None, count: Callable[[Hypothesis], RiskEstimate]) -> Finished:
    """Pack one candidate (None: w = 0), decode it, count its errors, complete the ledger, apply the theorem."""
    spec = setup.spec(candidate)
    message, _ = pack(spec, np.zeros(0, np.int32) if candidate is None else candidate.symbols)
    posterior = None if candidate is None else candidate.posterior
    hypothesis = Hypothesis.unpack(message.payload, spec, setup.base, posterior)
    risk = count(hypothesis)
    ratio_bits, saving_bits, name = None, None, setup.theorem
    if candidate is not None and isinstance(candidate.quantizer, DirectSpec):
        saving_bits = orbit_saving(candidate.quantizer, candidate.symbols)
    if posterior is not None and isinstance(spec.quantizer, DrawSpec):
        ratio_bits, name = draw(posterior, spec.quantizer, setup.projector.d).bits, "single_draw"
    ledger = complete(
        hypothesis.ledger, spec, setup.train.name, setup.digest, ratio_bits, saving_bits,
        methods=max(1, len(setup.methods)), like=setup.data.like, repeats=setup.data.repeats,
        sweep=setup.sweep,
    )  # fmt: skip
    bound = theorem(name)(risk.errors, risk.n, ledger.bits, setup.request.delta)
    return Finished(spec, message, hypothesis, risk, ledger, bound, posterior)


def _order(result: Finished) -> tuple[float, float, int]:
    """What candidates are compared by; it holds no network."""
    return result.bound.value, result.risk.errors, result.message.bits


def _smallest(results: Sequence[Finished]) -> Finished:
    """Process 0 says which, lest another one's rounding choose otherwise."""
    orders = [_order(result) for result in results]
    return results[first(lambda: orders.index(min(orders)))]


def _by_whole(setup: Setup, hypothesis: Hypothesis, progress: bool) -> RiskEstimate:
    """Count the errors of a decoded network on the raw examples: the only count that a certificate may hold."""
    return evaluate(hypothesis, setup.train, setup.loss, progress)


@torch.no_grad()
def _by_one_pass(setup: Setup, hypothesis: Hypothesis) -> RiskEstimate:
    """Count errors once, those of the trained part where its inputs are captured: to rank candidates, never more."""
    name, function = loss_function(setup.loss)
    network: Network = hypothesis
    x: Raw | Treated = setup.train.x
    if setup.captured is not None:
        network, x = hypothesis.network().get_submodule(setup.captured.part.path), setup.captured.read()
    logits = torch.cat(list(each(slices(len(x), batch_for(network, x)), lambda rows: ask(network, x[rows]).float())))
    one = 1 if name == CUSTOM else len(x)  # alone, so that a loss that remembers has seen nothing in company
    total = math.fsum(losses_by(one, name, function, logits, setup.train.y).tolist())
    counted = RiskEstimate(errors=0, n=setup.train.n, loss=name).counts
    return RiskEstimate(errors=round(total) if counted else min(total, setup.train.n), n=setup.train.n, loss=name)


def baseline(setup: Setup) -> Baseline:
    """Return the errors of always answering the most frequent training label."""
    errors = setup.train.n - int(torch.bincount(setup.train.y).max())
    return Baseline(name="majority_class", sample="train", errors=errors, n=setup.train.n)


def _test_bound(setup: Setup, hypothesis: Hypothesis, progress: bool) -> tuple[OtherBound, ...]:
    if setup.test is None:
        return ()
    risk = evaluate(hypothesis, setup.test, setup.loss, progress)
    return (held_out_bound(risk, setup.request.delta, setup.test),)


def held_out_bound(risk: RiskEstimate, delta: float, test: Examples) -> OtherBound:
    """Return what labelled held-out examples alone say: no bits are paid for a network that never saw them."""
    name = "test_set" if risk.counts else "occam_kl"
    held_out = HeldOut(name=test.name, digest=test.digest(), distinct=distinct_inputs(test.x))
    return _other("test", name, theorem(name)(risk.errors, risk.n, 0, delta).value, delta, risk, 0, held_out)


def _default_bound(setup: Setup, best: Finished) -> tuple[OtherBound, ...]:
    """Beside a theorem asked for by name, what the default theorem says of the same message; beside picks the other.

    The classical bound of sample compression holds with probability 1 - delta by itself, and is another event.
    """
    if best.picks is not None:
        value = picks_classical(
            best.picks.picked, best.picks.errors, best.risk.n, best.ledger.bits, setup.request.delta
        ).value
        outside = best.risk.model_copy(update={"errors": best.picks.errors})
        return (_other("train", "picks_classical", value, setup.request.delta, outside, best.ledger.bits),)
    name = headline_theorem(best.risk.counts)
    if best.bound.theorem in (name, "single_draw"):
        return ()
    value = theorem(name)(best.risk.errors, best.risk.n, best.ledger.bits, setup.request.delta).value
    return (_other("train", name, value, setup.request.delta, best.risk, best.ledger.bits),)


def _other(
    sample: str, name: str, value: float, delta: float, risk: RiskEstimate, bits: int, held_out: HeldOut | None = None
) -> OtherBound:
    return OtherBound.model_validate(
        {
            "sample": sample,
            "value": value,
            "theorem": name,
            "delta": delta,
            "errors": risk.errors,
            "n": risk.n,
            "bits": bits,
            "held_out": held_out,
        }
    )

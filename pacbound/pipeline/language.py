"""The one finish of a language model: candidates -> decoded networks -> losses -> ledger -> bound -> certificate."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from ..bits.coder import Symbols
from ..bits.ledger import Ledger
from ..bits.message import Message, pack
from ..bounds.language import stream
from ..bounds.losses import LAMBDAS, LossSums, joined, loss_sums
from ..bounds.occam import occam_binomial, test_set
from ..certificate.language import LanguageCertificate, OtherAnswers, OtherPredictor, TextRecord, headline
from ..certificate.language_recheck import complete_language, theta0_bits, without_symbols
from ..data.pairs import Pairs
from ..data.texts import Text
from ..errors import DataError
from ..networks.causality import check_causal, length_asked
from ..networks.hypothesis import Base, Hypothesis
from ..networks.ngrams import predictors
from ..networks.predictions import Predicted, Units, answers_of, count_wrong, predict, sum_losses, unit_losses
from ..specs.language import ALPHAS, CENTRES, KAPPAS, PredictionSpec, UnitsSpec
from ..specs.specs import HypothesisSpec
from .finish import environment

TRIED_UNITS = 1 << 17  # on which smoothing and centre are chosen
CENTRE_SHARES = (0.0, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)  # of the mean loss


@dataclass(frozen=True)
class LanguageSetup:
    """Everything fixed before training. window: context and stride, with the first smoothing of the menu.

    record: of the text before anything is trained. theta0: the file of it, where it was trained on a part of the text
    that stands before this one.
    """

    text: Text
    record: TextRecord
    held_out: Text | None
    base: Base
    spec: HypothesisSpec
    units_spec: UnitsSpec
    units: Units | None
    window: PredictionSpec
    delta: float
    theta0: bytes | None = None

    @property
    def n(self) -> int:
        """Number of losses."""
        return self.text.n if self.units is None else len(self.units.spans)


@dataclass(frozen=True)
class Offer:
    """One candidate: how its network is rebuilt, and its symbols."""

    spec: HypothesisSpec
    symbols: Symbols


@dataclass(frozen=True)
class Counted:
    """A candidate that was decoded and whose losses were summed up."""

    spec: HypothesisSpec
    message: Message
    network: nn.Module
    prediction: PredictionSpec
    ledger: Ledger
    sums: LossSums
    along: tuple[float, ...]
    errors: int | None
    value: float


def finish_language(
    setup: LanguageSetup, candidates: Sequence[Offer], seconds: dict[str, float], epochs: float, notes: tuple[str, ...],
    progress: bool = True,
) -> LanguageCertificate:  # fmt: skip
    """Issue the certificate of the candidate with the smallest bound.

    All candidates lie under one prior, so that picking the best of them is free.

    Raises: DataError where the text is another one by now.
    """
    started = time.monotonic()
    best = min((_count(setup, one, progress) for one in candidates), key=lambda one: (one.value, one.sums.losses))
    counted = time.monotonic()
    beside = _beside(setup, best, progress)
    times = {**seconds, "counting": counted - started, "others": time.monotonic() - counted}
    return LanguageCertificate.issue(
        losses=best.sums,
        errors=best.errors,
        ledger=best.ledger,
        message=best.message,
        text=still_record_of(setup.text, setup.record),
        units=setup.units_spec,
        prediction=best.prediction,
        hypothesis=best.spec,
        delta=setup.delta,
        predictors=beside,
        along=best.along,
        theta0=setup.theta0,
        environment=environment(times, epochs, notes),
    )


def record_of(text: Text) -> TextRecord:
    """Return what a certificate says of a text."""
    return TextRecord(
        name=text.name, digest=text.digest(), symbols=text.n, bytes=text.bytes_in_all, begin=text.begin,
        alphabet=text.alphabet,
    )  # fmt: skip


def still_record_of(text: Text, before: TextRecord) -> TextRecord:
    """Return the record of a text that is as it was. Raises: DataError where it changed since."""
    if record_of(text) != before:
        raise DataError(f"certify: the file of {text.name} changed during the run. Certify a copy that nobody writes.")
    return before


def _count(setup: LanguageSetup, candidate: Offer, progress: bool) -> Counted:
    """Pack one candidate, decode it, choose smoothing and centre, sum up its losses, complete the ledger."""
    message, _ = pack(candidate.spec, candidate.symbols)
    hypothesis = Hypothesis.unpack(message.payload, candidate.spec, setup.base)
    network = hypothesis.network()
    asked = length_asked(candidate.spec.model, setup.window.window)
    check_causal(network, setup.text.alphabet.predicted, asked)

    def ledger_of(prediction: PredictionSpec) -> Ledger:
        return complete_language(hypothesis.ledger, candidate.spec, setup.text.alphabet, prediction, setup.units_spec)

    prediction = choose_prediction(setup, network, ledger_of(setup.window).bits)
    ledger = ledger_of(prediction)
    sums, along = sum_losses(network, setup.text, prediction, setup.units, progress=progress)
    errors = None
    if isinstance(setup.text, Pairs) and setup.units is not None:
        errors = count_wrong(network, setup.text, prediction, setup.units, progress)
    value = headline(sums, errors, ledger.bits, setup.delta, setup.units_spec).value
    return Counted(candidate.spec, message, network, prediction, ledger, sums, along, errors, value)


def choose_prediction(setup: LanguageSetup, network: nn.Module, bits: int) -> PredictionSpec:
    """Return the smoothing and centre with the smallest bound on the first units; both are paid whatever they are."""
    blocks = list(predict(network, setup.text, setup.window, setup.units, progress=False, most=TRIED_UNITS))
    size, apart = setup.text.alphabet.size, setup.units is not None
    n, nats = setup.n, bits * math.log(2) + math.log(len(LAMBDAS) / setup.delta)
    tried: list[tuple[float, int, PredictionSpec]] = []
    for alpha in range(len(ALPHAS)):
        for prediction in _centred(setup.window.model_copy(update={"alpha": alpha}), blocks, size, apart):
            tried.append((_guess(blocks, prediction, size, apart, n, nats), len(tried), prediction))
    return min(tried)[2]


def _centred(prediction: PredictionSpec, blocks: list[Predicted], size: int, apart: bool) -> list[PredictionSpec]:
    if not apart:
        return [prediction.model_copy(update={"kappa": kappa}) for kappa in range(len(KAPPAS))]
    losses = np.concatenate([unit_losses(block, prediction, size, apart)[0] for block in blocks])
    places = {min(CENTRES - 1, round(16 * share * float(losses.mean()))) for share in CENTRE_SHARES}
    return [prediction.model_copy(update={"centre": place}) for place in sorted(places)]


def _guess(blocks: list[Predicted], prediction: PredictionSpec, size: int, apart: bool, n: int, nats: float) -> float:
    """The bound, were the mean over all units that over these blocks."""
    ceiling = prediction.ceiling(size)
    parts = [loss_sums(*unit_losses(block, prediction, size, apart), ceiling) for block in blocks]
    sums = joined(parts)
    values = [total / sums.n + nats / (rate * n) for rate, total in sums.log_terms if total is not None]
    return min(values, default=ceiling)


def _beside(setup: LanguageSetup, best: Counted, progress: bool) -> tuple[OtherPredictor | OtherAnswers, ...]:
    """Beside a stream stand other predictors, theta0, held-out text; of answers the last two."""
    if isinstance(setup.text, Pairs):
        return tuple(_beside_answers(setup, best, setup.text, progress))
    if setup.units_spec.statement != "stream":
        return ()
    made = [
        OtherPredictor(
            name=one.name, value=one.value(setup.delta), bits=one.bits, mean=one.sums.losses / one.sums.n, n=one.sums.n,
            order=one.order,
        )
        for one in predictors(setup.text)
    ]  # fmt: skip
    if setup.base.origin.kind != "zero" and best.spec.quantizer is not None:
        made.append(_start(setup, best, progress))
    if setup.held_out is not None:
        made.append(held_out_stream(best.network, setup.held_out, best.prediction, setup.delta, progress))
    return tuple(made)


def _start(setup: LanguageSetup, best: Counted, progress: bool) -> OtherPredictor:
    """Return how theta0 does, to which nothing was added, under the choices of the headline."""
    spec, network = _without_symbols(setup, best)
    sums, _ = sum_losses(network, setup.text, best.prediction, None, progress=progress)
    bits = theta0_bits(spec, setup.text.alphabet, best.prediction, setup.units_spec)
    value = stream(sums, bits, setup.delta).value
    return OtherPredictor(name="theta0", value=value, bits=bits, mean=sums.losses / sums.n, n=sums.n, sums=sums)


def _without_symbols(setup: LanguageSetup, best: Counted) -> tuple[HypothesisSpec, nn.Module]:
    """Decode w = 0 in the network of the headline."""
    spec = without_symbols(best.spec)
    message, _ = pack(spec, np.zeros(0, np.int32))
    return spec, Hypothesis.unpack(message.payload, spec, setup.base).network()


def _beside_answers(setup: LanguageSetup, best: Counted, pairs: Pairs, progress: bool) -> Iterator[OtherAnswers]:
    """Yield how many answers theta0 does not give, and the network on held-out pairs."""
    if setup.base.origin.kind != "zero" and best.spec.quantizer is not None:
        spec, network = _without_symbols(setup, best)
        errors = count_wrong(network, pairs, best.prediction, answers_of(pairs, best.prediction), progress)
        bits = theta0_bits(spec, pairs.alphabet, best.prediction, setup.units_spec)
        value = occam_binomial(errors, setup.n, bits, setup.delta).value
        yield OtherAnswers(name="theta0", value=value, bits=bits, errors=errors, n=setup.n)
    held = setup.held_out
    if isinstance(held, Pairs):
        errors, n = (
            count_wrong(best.network, held, best.prediction, answers_of(held, best.prediction), progress),
            len(held.spans),
        )
        yield OtherAnswers(
            name="held_out", value=test_set(errors, n, 0, setup.delta).value, bits=0, errors=errors, n=n,
            text=record_of(held), distinct=len(set(held.prompts())),
        )  # fmt: skip


def held_out_stream(
    network: nn.Module, text: Text, prediction: PredictionSpec, delta: float, progress: bool = True
) -> OtherPredictor:
    """Return what a text that nobody looked at says of a network, at 0 bits."""
    sums, _ = sum_losses(network, text, prediction, None, progress=progress)
    value = stream(sums, 0, delta).value
    return OtherPredictor(
        name="held_out", value=value, bits=0, mean=sums.losses / sums.n, n=sums.n, text=record_of(text), sums=sums
    )

"""What a direct code would do: the weights are coded once as they are, a few steps are timed, nothing is trained."""

import math
import time

import torch

from ...bits.message import pack
from ...bits.units import orbit_saving
from ...certificate.accounting import complete
from ...data.preprocess import preprocessed
from ...models.others import failures
from ...pipeline.forecast import Forecast
from ...pipeline.preparation import Setup
from ...quantize.rates import QUANTIZERS
from ...specs.grammar import OWN_NETWORK
from ...specs.tensors import DirectSpec
from ...threads import measured_threads
from ...training.fit import Sample
from ...training.timing import median_seconds
from ..work import Work, refuse_surrogate_options
from .certify import RATES, candidate, checkpoint_weights, code_weights, plan_of, prepare_direct
from .training import FISHER_EXAMPLES, FineTuning, curvature, one_step
from .weights import Weights

TYPICAL_RATE = RATES[1]
TIMED_STEPS = 5
FLOAT_BYTES = 4
VECTORS = 6  # weights, steps, gradients, two moments, Fisher


def forecast_direct(work: Work) -> Forecast:
    """Lay out the ledger of the weights at the middle rate, and time steps of the training that follows.

    Fine-tuning drops units, so that the message that is kept is shorter as a rule.
    Raises: PacboundError with the reason of a refusal.
    """
    refuse_surrogate_options(work.request, work.unlabelled)
    request = work.request
    setup = prepare_direct(work.model, work.train, work.test, request, work.loss, work.data_dir, work.methods)
    with failures("certify", setup.model == OWN_NETWORK):
        weights = checkpoint_weights(setup, work.model, request.checkpoint, request.rename, request.key)
        return _forecast(setup, weights, plan_of(request).tuning)


def _forecast(setup: Setup, weights: Weights, tuning: tuple[FineTuning, ...]) -> Forecast:
    rows = torch.randperm(setup.train.n, generator=torch.Generator().manual_seed(0))[:FISHER_EXAMPLES]
    part = Sample(preprocessed(setup.train.x[rows], setup.preprocess), setup.train.y[rows])
    price = TYPICAL_RATE * math.log(2) / setup.train.n
    batch = tuning[0].batch
    step = one_step(setup.base, weights, part, batch)
    with measured_threads(step):
        started, threads = time.perf_counter(), torch.get_num_threads()
        coded = candidate(*code_weights(weights, curvature(setup.base, weights, part), price, QUANTIZERS))
        coding = len(RATES) * (time.perf_counter() - started)
        seconds_a_step = median_seconds(lambda _: step(), TIMED_STEPS)
    assert isinstance(coded.quantizer, DirectSpec)
    spec = setup.spec(coded)
    _, ledger = pack(spec, coded.symbols)
    saving = orbit_saving(coded.quantizer, coded.symbols)
    x, passes = setup.train.x, sum(plan.passes for plan in tuning)
    steps = passes * max(1, setup.train.n // batch)
    return Forecast(
        data=setup.train.name,
        n=setup.train.n,
        model=setup.model,
        D=setup.base.layout.D,
        d=None,
        epochs=passes,
        batch=batch,
        seconds=round(coding + steps * seconds_a_step, 1),
        threads=threads,
        memory_bytes=FLOAT_BYTES * (math.prod(x.shape) + VECTORS * setup.base.layout.D) + x.nbytes,
        ledger=complete(
            ledger, spec, setup.train.name, setup.digest, saving_bits=saving, methods=max(1, len(setup.methods))
        ).entries,
    )

"""Method surrogate: a bound for a network that stays as it is, by a coded network that answers like it.

1. The original answers the training inputs; the encoder learns these answers in a subspace around a theta0 that cannot
   follow the original: from a seed, trained on other examples with their labels, or from a disjoint checkpoint.
2. The surrogate is decoded and its errors on the labels counted, as for any coded network.
3. Only then are the unlabelled inputs looked at, once: on how many do the two networks differ?
4. bounds/disagreement.py adds up both parts.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from ..bits.ledger import Ledger
from ..bounds.disagreement import Disagreement, disagreement
from ..certificate.accounting import Comparison, complete
from ..certificate.composed import may_follow
from ..certificate.parts import DisagreementPart, InputsRecord, SurrogatePart
from ..certificate.schema import Certificate, Environment, MethodRow, OtherBound
from ..certificate.tuned import named_after
from ..data.examples import Examples
from ..data.inputs import Inputs, check_apart, check_inputs, check_repeats, distinct_inputs
from ..data.likeness import recognise
from ..data.mixed import Raw
from ..data.preprocess import shape_after
from ..data.registry import load_any, load_held_out, load_inputs
from ..errors import RequestError
from ..models.loading import network_for, treatment
from ..models.others import failures
from ..networks.captured import Frozen
from ..networks.checkpoints import contents_digest, file_digest
from ..networks.original import Original, answers, check_answers, count_differing, count_errors, load_original
from ..networks.passes import BATCH
from ..pipeline.capturing import frozen_of, with_captured
from ..pipeline.encoding import encode
from ..pipeline.finish import Finished, baseline, best_of, environment, held_out_bound
from ..pipeline.first_look import first_look
from ..pipeline.looks import number_of_look
from ..pipeline.preparation import Setup, prepare
from ..pipeline.starting import with_start
from ..request.request import Method, Request
from ..specs.grammar import OWN_NETWORK, is_described
from ..specs.picks import RecipeSpec
from ..specs.specs import REFERENCE_MODELS
from ..stages import Stages, clocked, counted
from ..training.state import Checkpoint
from .picks import recipe_of, refuse_options_of_codes, run
from .work import Work


@dataclass(frozen=True)
class Compared:
    """A frozen surrogate, the inputs it was compared on, how often it and the original differ there, and the looks."""

    best: Finished
    inputs: Inputs
    record: InputsRecord
    differing: int
    looks: int


def surrogate(work: Work) -> Certificate:
    """Distil the original network, certify what is coded, and bound the risk of the original.

    Raises: PacboundError with the reason of a refusal, above all where labelled and unlabelled inputs overlap, or where
        the surrogate's theta0 could follow the original.
    """
    with failures("certify"), counted() as times:  # the original is somebody else's, and the surrogate may be
        with clocked("preparation"):
            task = checked(work)
        return _certified(work, task, times)


@dataclass(frozen=True)
class Task:
    """What a surrogate is made from and judged by: sample, unlabelled inputs, original, held-out examples."""

    train: Examples
    inputs: Inputs
    record: InputsRecord
    original: Original
    test: Examples | None


def checked(work: Work) -> Task:
    """Load everything, and refuse what does not go together or overlaps. Raises: PacboundError."""
    _refuse_contradictions(work)
    reading = work.request.reading
    train = load_any(work.train, work.data_dir, reading=reading)
    inputs = load_inputs(work.unlabelled, work.data_dir, reading=reading)
    check_inputs(inputs, train)
    check_apart(train.x, inputs.x, "unlabelled")
    record = _described(inputs, work.request.repeats)
    original = _original(work, train)
    test = None
    if work.test is not None:
        test = load_held_out(work.test, train.classes, work.data_dir, reading, train.labels)
    if test is not None:
        check_apart(train.x, test.x, "test")
        check_apart(inputs.x, test.x, "test", "unlabelled inputs")
        check_repeats(test.n, distinct_inputs(test.x), "test examples", work.request.repeats)
    return Task(train, inputs, record, original, test)


def _certified(work: Work, task: Task, times: Stages) -> Certificate:
    train, inputs, original = task.train, task.inputs, task.original
    seen = first_look(original.module, train, original.record.preprocess, original.record.model)
    if work.request.surrogate_by == "picks":
        setup, recipe = from_labels(work, train)
        best = run(setup, recipe, Checkpoint(work.state, setup.key), work.progress)
        epochs = 0.0
    else:
        with clocked("training"):
            setup = distilled(work, train, lambda x: answers(original, x, work.progress))
            setup = with_captured(setup, work.state, work.progress)
            encoded = encode(setup, Checkpoint(work.state, setup.key), work.progress)
            epochs = encoded.epochs
        with clocked("counting"):
            best = best_of(setup, encoded.candidates, work.progress)
    pair, earlier = _pair(best, inputs, original), work.request.earlier_looks or 0
    looks = number_of_look(work.looks, "comparison", inputs.digest(), pair, earlier)
    with clocked("answers"):
        differing = count_differing(best.hypothesis, original, inputs, work.progress)
        held_out = _held_out(original, task.test, work.request.delta)
    compared = Compared(best, inputs, task.record, differing, looks)
    made_in = environment(times.seconds(), epochs, (*original.notes, *setup.base.notes, *seen))
    return _issue(setup, compared, original, held_out, made_in)


def distilled(work: Work, train: Examples, answer: Callable[[Raw], Tensor]) -> Setup:
    """Fix the surrogate: a network, its theta0 and a projector from the request's seed; answers steer the encoder.

    Of a split, theta0 is trained on the first examples with their labels; answers are asked for the rest alone.

    answer: from inputs (n, ...) to the original's answers (n,) int64.
    """
    setup = with_start(fixed(work, train, "subspace"), work.start_state, work.progress, work.state)
    with clocked("answers"):
        return replace(setup, targets=answer(setup.train.x).clamp(max=train.classes - 1))


def from_labels(work: Work, train: Examples) -> tuple[Setup, RecipeSpec]:
    """Fix the surrogate that a learner makes from picked examples: it sees their labels, and never the original.

    Raises: RequestError outside the menus of the learner.
    """
    setup = with_start(fixed(work, train, "picks"), work.start_state, work.progress, work.state)
    shape = shape_after(setup.train.x, setup.preprocess)
    return setup, recipe_of(work.request, shape, isinstance(frozen_of(setup), Frozen))


def fixed(work: Work, train: Examples, method: Method) -> Setup:
    """Fix what the surrogate is made of, before theta0 of a split is trained. Raises: RequestError."""
    own = work.request.model_copy(
        update={
            "method": method,
            "model": work.request.surrogate,
            "base": "seeded",
            "checkpoint": work.request.surrogate_checkpoint,
            "rename": (),
            "key": None,
            "preprocess": work.request.surrogate_preprocess,
            "frozen_buffers": (),
            "unlabelled": None,
            "test": None,
        }
    )
    setup = prepare(work.request.surrogate, train, None, own, "zero_one", work.data_dir)
    original, start = work.request.checkpoint or "", work.request.surrogate_checkpoint
    refuse_followed_prior(setup, file_digest(original))
    if start is not None and contents_digest(start) == contents_digest(original, work.request.key):
        raise RequestError(
            "surrogate: its prior must not follow the original, got a --surrogate-checkpoint with the numbers of the "
            "original in another form. Give weights that saw nothing of the sample."
        )
    return replace(setup, methods=work.methods)


def refuse_followed_prior(setup: Setup, original: str) -> None:
    """Refuse a surrogate whose prior could know the original, which may have been trained on the labelled sample.

    original: SHA-256 of its file. Raises: RequestError by the rule of `may_follow`.
    """
    if may_follow(setup.base.origin, setup.model, original):
        raise RequestError(
            "surrogate: its prior must not follow the original, which may have seen the labelled sample: theta0 from "
            "a seed in a described network, or from a checkpoint that is not the original, got theta0 from "
            f"{setup.base.origin.kind} in the network {setup.model!r}. "
            "Leave --base out, and choose --surrogate among the reference networks, or describe one."
        )


def _refuse_contradictions(work: Work) -> None:
    """Refuse what has no meaning beside a surrogate. Raises: RequestError."""
    request = work.request
    if request.checkpoint is None:
        raise RequestError("surrogate: the original network comes from a file, got none. Give --checkpoint FILE.")
    if isinstance(work.model, str) and work.model == "auto":
        raise RequestError("surrogate: a checkpoint holds numbers only; name its network with --model.")
    if work.unlabelled is None:
        raise RequestError(
            "surrogate: the original and the surrogate are compared on unlabelled inputs that neither was trained on, "
            "got none. Give --unlabelled, such as mnist:test:1/2."
        )
    _refuse_starts(request)
    if request.surrogate_by == "picks":
        refuse_options_of_codes(request)
    if work.loss not in (None, "zero_one") or request.loss != "zero_one":
        raise RequestError("surrogate: two networks differ or do not, so the loss is zero_one. Leave --loss out.")
    if request.posterior != "point" or request.theorem not in ("auto", "occam_binomial"):
        raise RequestError(
            f"surrogate: it is decoded and bounded by occam_binomial, got posterior {request.posterior!r} and theorem "
            f"{request.theorem!r}. Leave them out."
        )
    if request.earlier_looks is None:
        raise RequestError(
            "surrogate: look j at the unlabelled inputs has delta / (j (j + 1)), so that somebody must say how many "
            "surrogates were compared on them before, in any run, got nobody's word. Give --earlier-looks N, 0 where "
            "there were none."
        )


def _refuse_starts(request: Request) -> None:
    """Refuse what gives a surrogate no theta0, or one that may follow the original. Raises: RequestError."""
    own = request.surrogate_checkpoint is None
    if own and request.surrogate != "auto" and not is_described(request.surrogate):
        raise RequestError(
            f"surrogate: it is auto, one of {', '.join(REFERENCE_MODELS)} or a description, whose theta0 is drawn from "
            f"the seed, got {request.surrogate!r}. Another network goes with --surrogate-checkpoint FILE --disjoint."
        )
    if request.base == "values" or (own and (request.disjoint or request.new_head or request.head_rows)):
        raise RequestError(
            "surrogate: the checkpoint is the original and never theta0 of the surrogate, which is drawn from a seed; "
            "got --base values, --disjoint or --new-head. Leave them out, choose --method subspace, or give the "
            "surrogate a file of its own with --surrogate-checkpoint."
        )
    if not own and request.surrogate == "auto":
        raise RequestError(
            "surrogate: --surrogate-checkpoint holds numbers only, got no network for them. Name it with --surrogate."
        )


def _described(inputs: Inputs, repeats: str | None) -> InputsRecord:
    """What the certificate says of the inputs. Raises: DataError where too many are repeats and nobody says why."""
    distinct = distinct_inputs(inputs.x)
    check_repeats(inputs.m, distinct, "unlabelled inputs", repeats)
    like = None if named_after(inputs.name) else recognise(inputs.x)
    record = {"name": inputs.name, "digest": inputs.digest(), "m": inputs.m, "note": inputs.note}
    return InputsRecord.model_validate({**record, "distinct": distinct, "like": like})


def _original(work: Work, train: Examples) -> Original:
    """Load the original network and see that it reads the examples."""
    request = work.request
    assert request.checkpoint is not None
    named = work.model if isinstance(work.model, str) else OWN_NETWORK
    spec = treatment(named, train.preprocess, request.preprocess, request.tokenizer, request.standardise)
    module, name = network_for(work.model, train.x, spec, train.classes)
    original = load_original(module, name, request.checkpoint, request.rename, spec, request.key)
    check_answers(original, train.x[:BATCH], train.classes)
    return original


def _pair(best: Finished, inputs: Inputs, original: Original) -> str:
    """Digest of what is compared with what on which inputs: the same again is the same look.

    A message says nothing of what is declared beside it, such as the file of theta0, so that the descriptions count.
    """
    parts = (
        best.message.payload,
        best.spec.model_dump_json().encode(),
        bytes.fromhex(inputs.digest()),
        original.record.model_dump_json().encode(),
    )
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _held_out(original: Original, test: Examples | None, delta: float) -> tuple[OtherBound, ...]:
    """What labelled held-out examples alone say of the original: no surrogate is needed."""
    if test is None:
        return ()
    return (held_out_bound(count_errors(original, test), delta, test),)


def _ledger(setup: Setup, compared: Compared) -> Ledger:
    data = setup.data
    comparison = Comparison.on(compared.record, compared.looks)
    return complete(
        compared.best.hypothesis.ledger, compared.best.spec, data.name, data.digest, compared=comparison,
        methods=max(1, len(setup.methods)), like=data.like, repeats=data.repeats,
    )  # fmt: skip


def _parts(
    compared: Compared, made: Disagreement, bits: int, original: Original
) -> tuple[SurrogatePart, DisagreementPart]:
    return (
        SurrogatePart(value=made.surrogate, delta=made.surrogate_delta),
        DisagreementPart(
            value=made.difference,
            delta=made.difference_delta,
            differing=compared.differing,
            bits=bits,
            looks=compared.looks,
            inputs=compared.record,
            original=original.record,
        ),
    )


def _issue(
    setup: Setup, compared: Compared, original: Original, held_out: tuple[OtherBound, ...], made_in: Environment
) -> Certificate:
    """Compose both parts; the ledger is the surrogate's, and both parts pay every choice in it."""
    best, train, ledger = compared.best, setup.train, _ledger(setup, compared)
    choices = ledger.bits_of("choice")
    errors, picked = (round(best.risk.errors), None) if best.picks is None else (best.picks.errors, best.picks.picked)
    made = disagreement(
        errors, train.n, ledger.bits, compared.differing, compared.inputs.m, choices, setup.request.delta, picked
    )
    return Certificate.issue(
        bound=made.bound,
        risk=best.risk,
        ledger=ledger,
        message=best.message,
        data=setup.data,
        hypothesis=best.spec,
        beside=best.beside,
        picks=best.picks,
        theta0=setup.theta0,
        parts=_parts(compared, made, choices, original),
        also=(*held_out, baseline(setup)),
        methods=tuple(MethodRow(name=name) for name in setup.methods),
        environment=made_in,
    )

"""The grid that a certificate embeds: which options have a price, and that the price is needed and enough."""

import itertools
import math

import numpy as np
import pytest
from pydantic import ValidationError

import pacbound as pb
from pacbound.bounds.table import theorem
from pacbound.certificate.sweep import FREE, MESSAGE, SweepOption, SweepRecord, contradiction, way_of
from pacbound.request.request import FREE as FREE_OF_THE_REQUEST
from pacbound.request.request import Request, free_options
from pacbound.specs.specs import BaseOrigin
from tests.forge import spec_of


def grid(number: int | None = None, chosen: int = 0, of: str = "subspace", **options: tuple[str, ...]) -> SweepRecord:
    """The product of some options."""
    runs = tuple(itertools.product(*(range(len(values)) for values in options.values())))
    listed = tuple(SweepOption(name=name, values=values) for name, values in options.items())
    return SweepRecord(method=of, options=listed, runs=runs, chosen=chosen, number=number)


@pytest.mark.parametrize("method", sorted(FREE))
def test_what_a_sweep_takes_for_free_is_what_the_request_calls_free(method: str) -> None:
    assert set(FREE[method]) == set(free_options(Request.model_validate({"method": method})))
    assert set(FREE[method]).isdisjoint(MESSAGE[method])


def test_of_every_other_method_nothing_is_free() -> None:
    others = (set(FREE_OF_THE_REQUEST) | {"picks"}) - set(FREE)
    assert "surrogate" in others
    assert {way_of(name, "1", method) for name in Request.model_fields for method in others} == {"grid"}


# which option of a subspace run changes which field of the header: by packing two messages that differ in it alone
SAID = {"d": ("8", "9"), "seed": ("0", "1"), "projector": ("fastfood", "sparse"), "preprocess": ("none", "ink")}


@pytest.mark.parametrize("option", SAID)
def test_what_is_called_paid_in_the_message_is_decoded_from_it(option: str) -> None:
    from pacbound.bits.message import pack, unpack
    from pacbound.specs.specs import PreprocessSpec, ProjectorSpec
    from tests.forge import symbols_of

    found = []
    for value in SAID[option]:
        chosen = {"d": "8", "seed": "0", "projector": "fastfood", "preprocess": "none", option: value}
        d, seed = int(chosen["d"]), int(chosen["seed"])
        projector = ProjectorSpec(kind=chosen["projector"], D=1 << 10, d=d, seed=seed)  # type: ignore[arg-type]
        spec = spec_of(d, seed, base=BaseOrigin(seed=seed)).model_copy(
            update={"projector": projector, "preprocess": PreprocessSpec(name=chosen["preprocess"])}  # type: ignore[arg-type]
        )
        payload = pack(spec, symbols_of(d, seed))[0].payload
        blank = spec.model_copy(update={"preprocess": PreprocessSpec(), "base": BaseOrigin(), "model": "mlp"})
        assert unpack(payload, blank)[0] == spec  # of the blank only D and the layout's digest are read
        found.append(spec)
    assert found[0] != found[1]
    assert way_of(option, SAID[option][0], "subspace") == "message"


def test_the_price_counts_different_combinations_of_what_has_one() -> None:
    own = ("nets:a", "nets:b", "nets:c")
    assert grid(rate=("0.1", "0.2"), d=("8", "9", "10")).choices == 1
    assert grid(model=("lenet", "h8-R-L", "auto"), theorem=("auto", "catoni_grid")).choices == 1
    assert grid(1, rate=("0.1", "0.2"), model=own).choices == 3 * 1 * 2
    assert grid(4, model=own, checkpoint=("a" * 64, "b" * 64)).choices == 6 * 4 * 5
    assert grid(1, model=("lenet", "mlp", "nets:a")).combinations == 2  # described, or that one
    assert grid(1, of="picks", rate=("0.1", "0.2"), d=("8", "9")).choices == 4 * 2


def test_options_are_judged_under_the_method_of_their_own_run() -> None:
    assert grid(method=("subspace", "direct", "auto"), seed=("0", "1")).choices == 1
    assert grid(1, method=("subspace", "picks"), rate=("0.1", "0.2")).combinations == 3  # subspace once, picks twice


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"number": 1}, "a number where its grid has a price"),
        ({"runs": ((0,), (2,))}, "the place of one value"),
        ({"runs": ((0,), (-1,))}, "the place of one value"),
        ({"runs": ((0, 0), (0, 1))}, "the place of one value"),
        ({"runs": ((0,), (0,))}, "are distinct"),
        ({"chosen": 2}, "the chosen run is one of 2"),
        ({"options": ({"name": "d", "values": ("8", "8")},)}, "are distinct"),
    ],
)
def test_a_grid_that_says_two_things_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        SweepRecord.model_validate({**grid(d=("8", "9")).model_dump(), **change})


def test_a_grid_with_a_price_has_a_number() -> None:
    with pytest.raises(ValidationError, match="a number where its grid has a price"):
        grid(None, model=("nets:a", "nets:b"))


@pytest.mark.parametrize(
    ("options", "chosen", "complaint"),
    [
        ({"seed": ("3", "4")}, 0, "seed 3, the network has 0"),  # the projector's, after theta0's
        ({"d": ("64", "32")}, 1, "d 32, the network has 64"),
        ({"d": ("64", "32"), "seed": ("0", "1")}, 0, None),
        ({"rate": ("64", "32")}, 1, None),
    ],
)
def test_the_network_is_that_of_the_chosen_run(
    options: dict[str, tuple[str, ...]], chosen: int, complaint: str
) -> None:
    spec = spec_of(64, 0, base=BaseOrigin(seed=0))
    found = contradiction(grid(chosen=chosen, **options), spec)
    assert found is None if complaint is None else complaint in str(found)


def test_the_file_is_that_of_the_chosen_run() -> None:
    base = BaseOrigin(kind="checkpoint", sha256="a" * 64, values="c" * 64, disjoint=True)
    options = {"checkpoint": ("a" * 64, "b" * 64)}
    spec = spec_of(64, 0, base=base)
    assert contradiction(grid(1, 0, **options), spec) is None
    assert "checkpoint bbbb" in str(contradiction(grid(1, 1, **options), spec))


def test_a_dimension_beyond_the_network_is_cut_to_it_and_no_contradiction() -> None:
    spec = spec_of(64, 0, D=64)
    assert contradiction(grid(d=("500", "600")), spec) is None


def test_the_best_of_a_grid_fails_too_often_unpaid_and_seldom_enough_paid() -> None:
    """64 files of equal risk 0.3, the one with the fewest errors on 60 examples chosen: its bound must hold."""
    files, n, risk, delta, repeats = 64, 60, 0.3, 0.1, 2000
    record = grid(1, checkpoint=tuple(f"{k:064x}" for k in range(files)))
    bits = (record.choices - 1).bit_length()
    assert bits == math.ceil(math.log2(files * 2))
    generator = np.random.default_rng(0)
    errors = generator.binomial(n, risk, (repeats, files)).min(axis=1)
    bound = {
        count: [theorem("occam_binomial")(count, n, b, delta).value for b in (0, bits)]
        for count in set(errors.tolist())
    }
    failed = np.array([[value < risk for value in bound[count]] for count in errors.tolist()]).mean(axis=0)
    assert failed[0] > 2 * delta
    assert failed[1] <= delta


def test_no_theorem_that_a_grid_may_name_beats_the_default_on_any_outcome() -> None:
    named = pb.Request.model_fields["theorem"].annotation.__args__  # type: ignore[union-attr]
    for name in set(named) - {"auto"}:
        for errors, bits in itertools.product((0, 1, 30, 250, 700), (0, 40, 900)):
            default = theorem("occam_binomial")(errors, 1000, bits, 0.05).value
            assert theorem(name)(errors, 1000, bits, 0.05).value >= default - 1e-12

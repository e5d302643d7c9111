import itertools
import math

import mpmath
import pytest
import torch
from torch import nn

from pacbound.errors import BoundError, ModelError
from pacbound.measures.redundancy.sample_complexity import (
    cnn_counts,
    cp_counts,
    gauge_saving_bits,
    merged_numbers,
    tucker_counts,
    tucker_covering,
)

SIZES, PLACES, OUTPUTS = (3, 3, 16), 49, 64
PLAIN = {"sizes": (3, 3, 16, 49), "ranks": (3, 3, 8, 16), "lipschitz": 1.0, "data_norm": 2.0, "weight_norm": 3.0}


def numel(*shapes: tuple[int, ...]) -> int:
    return sum(torch.zeros(shape).numel() for shape in shapes)


def test_counts_of_a_full_layer_are_the_published_example() -> None:
    counts = cnn_counts(SIZES, PLACES, OUTPUTS)
    assert (counts.naive, counts.dimension) == (12352, 12416)
    assert counts.naive == numel((OUTPUTS, *SIZES), (OUTPUTS, PLACES))


@pytest.mark.parametrize(("rank", "naive", "dimension"), [(16, 5458, 2082), (64, 11986, 7890)])
def test_counts_in_tucker_form_are_the_published_example_and_those_of_the_tensors(
    rank: int, naive: int, dimension: int
) -> None:
    ranks = (3, 3, 8)
    counts = tucker_counts(SIZES, ranks, PLACES, OUTPUTS, rank)
    assert (counts.naive, counts.dimension) == (naive, dimension)
    factors = [(size, r) for size, r in zip(SIZES, ranks, strict=True)]
    assert counts.naive == numel((rank, *ranks), *factors, (OUTPUTS, rank), (OUTPUTS, PLACES))
    assert counts.dimension == numel((rank, *ranks), *factors, (rank, PLACES))
    assert counts.redundancy == merged_numbers(OUTPUTS, rank, PLACES) or rank == OUTPUTS


def test_with_as_many_ranks_as_outputs_only_the_needless_factor_is_redundant() -> None:
    assert tucker_counts(SIZES, (3, 3, 8), PLACES, OUTPUTS, OUTPUTS).redundancy == OUTPUTS * OUTPUTS
    assert merged_numbers(OUTPUTS, OUTPUTS, PLACES) == 0  # written without the factor
    assert merged_numbers(OUTPUTS, 2 * OUTPUTS, PLACES) == 0


def test_counts_in_cp_form_are_the_published_example_and_its_core_stays_diagonal() -> None:
    counts = cp_counts(SIZES, PLACES, OUTPUTS, 16)
    assert (counts.naive, counts.dimension) == (4512, 1136)
    assert counts.dimension + 16**4 == 66672  # the paper's count of a full core


def test_the_sample_sees_the_tensor_and_not_the_output_channels() -> None:
    """Rank of the Jacobian of parameters -> W: d_M less the freedom of basis, whatever K is."""
    sizes, ranks, places, rank = (3, 4), (2, 2), 5, 2
    torch.manual_seed(0)
    for outputs in (3, 6):
        shapes = [(rank, *ranks), (3, 2), (4, 2), (outputs, rank), (outputs, places)]

        def product(*p: torch.Tensor) -> torch.Tensor:
            return torch.einsum("rij,ai,bj,kr,kp->abp", *p).flatten()

        point = tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)
        jacobian = torch.autograd.functional.jacobian(product, point)
        matrix = torch.cat([part.reshape(3 * 4 * places, -1) for part in jacobian], dim=1)
        counts = tucker_counts(sizes, ranks, places, outputs, rank)
        assert matrix.shape[1] == counts.naive
        free = sum(r * r for r in (*ranks, rank))
        assert int(torch.linalg.matrix_rank(matrix)) == counts.dimension - free


def test_merging_the_mixer_saves_the_numbers_stated_and_changes_nothing() -> None:
    torch.manual_seed(0)
    mixer, reader = nn.Linear(3, 8, bias=False).double(), nn.Linear(8, 5, bias=False).double()
    merged = nn.Linear(3, 5, bias=False).double()
    merged.weight = nn.Parameter(reader.weight @ mixer.weight)
    x = torch.randn(4, 3, dtype=torch.float64)
    torch.testing.assert_close(merged(x), reader(mixer(x)))
    before = mixer.weight.numel() + reader.weight.numel()
    assert before - merged.weight.numel() == merged_numbers(outputs=8, rank=3, places=5)


def test_a_gauge_makes_some_rows_the_identity_and_costs_their_names() -> None:
    torch.manual_seed(0)
    inner, outer = torch.randn(3, 7, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    change = outer[[1, 2, 4]]
    fixed = outer @ torch.linalg.inv(change)
    torch.testing.assert_close(fixed @ (change @ inner), outer @ inner)
    torch.testing.assert_close(fixed[[1, 2, 4]], torch.eye(3, dtype=torch.float64))
    subsets = len(list(itertools.combinations(range(6), 3)))
    assert gauge_saving_bits(6, 3, 10) == 10 * 9 - math.ceil(math.log2(subsets))
    assert gauge_saving_bits(3, 3, 10) == 90  # nothing to name
    assert gauge_saving_bits(1000, 1, 1) == 0  # naming the row costs more


def by_mpmath(errors: float, n: int, bits: float, delta: float, radius: float) -> mpmath.mpf:
    dimension = 3 * 3 * 8 * 16 + 3 * 3 + 3 * 3 + 16 * 8 + 49 * 16
    nats = dimension * mpmath.log(15 / mpmath.mpf(radius)) + bits * mpmath.log(2) - mpmath.log(delta)
    return mpmath.mpf(errors) / n + 2 * 1 * 2 * 3 * radius + mpmath.sqrt(nats / (2 * n))


@pytest.mark.parametrize(("n", "bits"), [(10**6, 0), (10**6, 1000), (10**8, 17)])
def test_the_covering_bound_lies_just_above_its_formula_at_the_best_radius(n: int, bits: int) -> None:
    mpmath.mp.dps = 30
    best = min(by_mpmath(0.05 * n, n, bits, 0.05, math.exp(-k / 50)) for k in range(2000))
    value = tucker_covering(0.05 * n, n, bits, 0.05, **PLAIN).value
    assert best - mpmath.mpf(10) ** -6 < value < best * 1.001


def test_the_covering_bound_falls_with_n_and_rises_with_ranks_bits_and_norms() -> None:
    def value(n: int = 10**6, bits: int = 0, **changed: object) -> float:
        return tucker_covering(0.0, n, bits, 0.05, **{**PLAIN, **changed}).value  # type: ignore[arg-type]

    assert value(10**7) < value() < value(bits=100)
    assert value() < value(ranks=(3, 3, 8, 17))
    assert value() < value(data_norm=2.1)
    assert value() < value(weight_norm=3.1)
    assert value() < value(lipschitz=1.1)


def test_the_covering_bound_holds_for_the_best_rank_one_predictor() -> None:
    """Least squares over rank-1 W on few examples: the true risk never exceeds the bound, which is not vacuous."""
    torch.manual_seed(0)
    n, a, b = 100_000, torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8])
    z = nn.functional.normalize(torch.randn(n, 2, 2).flatten(1)).reshape(n, 2, 2)
    target = torch.einsum("nij,i,j->n", z, a, b)
    noisy = (target + 0.3 * torch.sign(torch.randn(n))).clamp(-1, 1)
    moment = torch.einsum("nij,n->ij", z, noisy) / n
    u, _, v = torch.linalg.svd(moment)
    fitted = torch.einsum("nij,i,j->n", z, u[:, 0], v[0])
    loss = ((fitted - noisy).square() / 4).double()  # in [0, 1], Lipschitz 1 in the prediction
    bound = tucker_covering(
        float(loss.sum()), n, 0, 0.05, sizes=(2, 2), ranks=(1, 1), lipschitz=1.0, data_norm=1.0, weight_norm=1.0
    )
    fresh = nn.functional.normalize(torch.randn(n, 4)).reshape(n, 2, 2)
    truth = (torch.einsum("nij,i,j->n", fresh, a, b) + 0.3 * torch.sign(torch.randn(n))).clamp(-1, 1)
    risk = float(((torch.einsum("nij,i,j->n", fresh, u[:, 0], v[0]) - truth).square() / 4).mean())
    assert risk < bound.value < risk + 0.05


@pytest.mark.parametrize(
    "changed", [{"ranks": (3, 3, 8)}, {"ranks": (4, 3, 8, 16)}, {"ranks": (0, 3, 8, 16)}, {"weight_norm": math.inf},
                {"data_norm": 0.0}, {"lipschitz": math.nan}]
)  # fmt: skip
def test_the_covering_bound_refuses_what_it_does_not_cover(changed: dict[str, object]) -> None:
    with pytest.raises(BoundError, match="tucker_covering"):
        tucker_covering(0.0, 100, 0, 0.05, **{**PLAIN, **changed})  # type: ignore[arg-type]


def test_impossible_ranks_are_refused() -> None:
    with pytest.raises(ModelError, match="a rank for each mode"):
        tucker_counts((3, 3), (4, 3), 1, 1, 1)
    with pytest.raises(ModelError, match="no more columns than rows"):
        gauge_saving_bits(3, 4, 8)

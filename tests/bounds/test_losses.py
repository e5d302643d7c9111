"""Sufficient statistics of losses: above the exact sums by a hair, joined part by part, and what is refused."""

import math

import mpmath
import numpy as np
import pytest

from pacbound.bounds import losses
from pacbound.bounds.losses import LAMBDAS, LossSums, joined, loss_sums, read_losses
from pacbound.errors import BoundError, DataError
from pacbound.specs.language import ALPHAS, KAPPAS


def exact(x: np.ndarray, c: np.ndarray, rate: float) -> mpmath.mpf:
    """sum_i [c_i - ln(1 - rate (x_i - c_i)) / rate] at 40 digits."""
    with mpmath.workdps(40):
        lam = mpmath.mpf(rate)
        pairs = zip(x.tolist(), c.tolist(), strict=True)
        return mpmath.fsum(b - mpmath.log(1 - lam * (mpmath.mpf(a) - b)) / lam for a, b in pairs)


def draw(n: int, seed: int, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.exponential(spread, n).clip(0, 18), rng.uniform(0, 4, n), rng.uniform(18, 19, n)


def test_the_menus_are_listed_in_full_and_cost_few_bits():
    assert len(LAMBDAS) == 37
    assert (LAMBDAS[0], LAMBDAS[-1]) == (2.0**-10, 0.5)
    assert all(abs(math.log2(rate) - (j / 4 - 10)) < 1e-12 for j, rate in enumerate(LAMBDAS))
    assert (len(ALPHAS), len(KAPPAS)) == (8, 2)
    assert list(ALPHAS) == sorted(ALPHAS)
    assert (min(ALPHAS), KAPPAS) == (1e-4, (1.0, 1.1))


@pytest.mark.parametrize(("n", "seed", "spread"), [(1, 0, 2.0), (2, 1, 5.0), (333, 2, 2.0), (1500, 3, 9.0)])
def test_every_log_sum_lies_just_above_the_exact_one(n, seed, spread):
    x, c, m = draw(n, seed, spread)
    sums = loss_sums(x, c, m)
    assert any(total is None for total in sums.log_sums), "the largest lambdas are out of reach"
    for rate, total in sums.log_terms[:: 6 if n > 1000 else 1]:
        if total is None:
            assert rate * float(np.max(m - c)) > 0.9999
        else:
            truth = exact(x, c, rate)
            assert total >= truth
            assert total - truth <= 1e-13 * n / rate + 1e-13 * abs(truth)


def test_losses_at_the_very_end_of_what_a_lambda_allows():
    x = np.array([2.0 - 3e-6, 2.0 - 3e-6, 0.0])  # 1 - lambda x is 1.5e-6: cancellation
    sums = loss_sums(x, 0.0, 2.0 - 3e-6)
    rate, total = sums.log_terms[-1]
    truth = exact(x, np.zeros(3), rate)
    assert truth <= total <= truth + 1e-8
    assert loss_sums(x, 0.0, 2.0 - 1e-7).log_sums[-1] is None


def test_the_other_sums_are_rounded_up_and_constants_recognised():
    sums = loss_sums([0.1] * 10, 0.2, 0.7)
    with mpmath.workdps(30):
        assert sums.losses >= 10 * mpmath.mpf(0.1)
        assert sums.ceilings >= 10 * mpmath.mpf(0.7)
        assert sums.reach >= mpmath.mpf(0.7) - mpmath.mpf(0.2)
    assert max(sums.losses - 1, sums.ceilings - 7, sums.reach - 0.5) < 1e-14
    assert (sums.n, sums.centre, sums.ceiling, sums.lowest) == (10, 0.2, 0.7, 0.0)
    assert loss_sums([0.1, 0.2], [0.1, 0.2], [0.7, 0.7]).centre is None
    assert loss_sums([0.1, 0.2], [0.1, 0.1], [0.7, 0.8]).ceiling is None


def test_parts_joined_are_the_whole(monkeypatch):
    x, c, m = draw(1000, 5)
    whole = loss_sums(x, c, m)
    parts = joined([loss_sums(x[i : i + 300], c[i : i + 300], m[i : i + 300]) for i in range(0, 1000, 300)])
    monkeypatch.setattr(losses, "_BLOCK", 128)
    blocks = loss_sums(x, c, m)
    for other in (parts, blocks):
        assert (other.n, other.reach, other.centre) == (1000, whole.reach, None)
        assert other.losses == pytest.approx(whole.losses, rel=1e-14)
        for one, two in zip(other.log_sums, whole.log_sums, strict=True):
            assert (one is None) == (two is None)
            assert one is None or one == pytest.approx(two, rel=1e-12)
    with pytest.raises(BoundError, match="at least one part"):
        joined([])
    with pytest.raises(BoundError, match="share the lambdas"):
        joined([whole, loss_sums(x, c, m, lambdas=(0.1,))])


def test_parts_of_different_constants_have_none():
    one, other = loss_sums([0.5], 0.1, 1.0), loss_sums([0.5], 0.2, 1.5)
    assert (joined([one, one]).centre, joined([one, one]).ceiling) == (0.1, 1.0)
    assert (joined([one, other]).centre, joined([one, other]).ceiling) == (None, None)
    assert joined([one, other]).reach == joined([other, one]).reach == other.reach


def test_float32_and_integers_are_taken_exactly():
    x = np.array([0.1, 0.2], dtype=np.float32)
    assert loss_sums(x, 0, 1) == loss_sums(x.astype(np.float64), 0.0, 1.0)


@pytest.mark.parametrize(
    ("x", "c", "m", "word"),
    [
        ([], 0.0, 1.0, "at least one"),
        (0.5, 0.0, 1.0, "at least one"),
        ([[0.5]], 0.0, 1.0, "shape"),
        ([[0.5], [0.1, 0.2]], 0.0, 1.0, "real numbers"),
        ([0.5, 0.1], [0.0], 1.0, r"X has 2 positions and c the shape \(1,\)"),
        ([0.5, 0.1], 0.0, [1.0, 1.0, 1.0], "and M the shape"),
        ([0.5, math.nan], 0.0, 1.0, "X at 1 is nan"),
        ([0.5, 0.1], [0.0, math.inf], 1.0, "c at 1 is inf"),
        ([0.5, 0.1], 0.0, math.nan, "M at 0 is nan"),
        ([0.5, -0.1], 0.0, 1.0, "X at 1 is -0.1, below the lowest"),
        ([0.5, 1.1], 0.0, 1.0, "X at 1 is 1.1, above its M 1"),
        ([0.5, 1e300], 0.0, 1e301, "at most 2\\^40"),
        (["a"], 0.0, 1.0, "real numbers"),
        ([True], 0.0, 1.0, "real numbers"),
        ([0.5j], 0.0, 1.0, "real numbers"),
        (None, 0.0, 1.0, "real numbers"),
        (np.array([0.5], dtype=np.longdouble), 0.0, 1.0, "at most 64 bits"),
    ],
)
def test_bad_arrays_are_refused_with_the_place(x, c, m, word):
    with pytest.raises(BoundError, match=rf"^losses: .*{word}"):
        loss_sums(x, c, m)


def test_differences_may_be_negative_where_the_lowest_says_so():
    assert loss_sums([-0.5, 0.1], 0.0, 1.0, lowest=-1.0).losses == pytest.approx(-0.4)
    for lowest in (math.nan, math.inf):
        with pytest.raises(BoundError, match="lowest"):
            loss_sums([0.5], 0.0, 1.0, lowest=lowest)


@pytest.mark.parametrize(
    "change",
    [{"log_sums": (1.0,)}, {"reach": 4.0}, {"losses": 1e9}, {"n": 0}, {"lambdas": (-0.1,) * 37}, {"ceiling": -1.0}],
)
def test_statistics_that_contradict_themselves_are_refused(change):
    held = loss_sums([0.1, 0.2], 0.1, 1.0).model_dump()
    assert LossSums(**held) == loss_sums([0.1, 0.2], 0.1, 1.0)
    with pytest.raises(ValueError, match=r"."):
        LossSums(**{**held, **change})


def test_a_file_is_read_and_a_bad_one_refused(tmp_path):
    file = tmp_path / "losses.npz"
    x, c, m = draw(50, 7)
    np.savez(file, X=x, c=c, M=m)
    assert read_losses(file) == loss_sums(x, c, m)
    np.savez(file, X=-x, c=c, M=m, lowest=-18)
    assert read_losses(file) == loss_sums(-x, c, m, lowest=-18.0)
    for arrays, word in (
        ({"X": x, "c": c}, "may hold the number lowest, got X, c"),
        ({"X": x, "c": c, "M": m, "Z": m}, "got M, X, Z, c"),
        ({"X": x, "c": c, "M": m, "lowest": x}, "lowest is one number"),
        ({"X": np.array([object()]), "c": 1.0, "M": 2.0}, "is not a file of arrays"),
    ):
        np.savez(file, **arrays)
        with pytest.raises(DataError, match=word):
            read_losses(file)
    np.savez_compressed(tmp_path / "cut.npz", X=x, c=c, M=m)
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:80] + bytes(60) + whole[140:])
    np.save(tmp_path / "one.npy", x)
    file.write_bytes(b"PK\x03\x04 broken")
    for bad in (file, tmp_path / "cut.npz", tmp_path / "one.npy", tmp_path):
        with pytest.raises(DataError, match="is not a file of arrays"):
            read_losses(bad)
    with pytest.raises(DataError, match="there is no file"):
        read_losses(tmp_path / "missing.npz")

"""Does the promise of picks hold for a whole selection, and does it break when the learner peeks at the rest?"""

import numpy as np
import pytest

from pacbound.bounds.preference import picks

# A hard world: after t picks the network errs on a region of measure r_t, just above the bound of t picks and no
# errors, and regions of different t are independent. Any stop without errors before all are picked breaks the bound,
# so the test is nearly tight. `looks` networks of equal risk are there at each step; the first is taken, or, by a
# learner that peeks, the one with the fewest errors on the rest.
N, DELTA, REPEATS = 10, 0.5, 1500


def broken(looks: int, bits: int, seed: int) -> float:
    """Share of the repeats in which the bound lies below the exact risk."""
    rng = np.random.default_rng(seed)
    risks = [picks(t, 0, N, bits, DELTA).value * (1 + 1e-9) for t in range(N)]
    failures = 0
    for _ in range(REPEATS):
        rest = np.arange(N)
        for risk in risks:
            scores = rng.random((looks, N))[:, rest]  # wrong where below the risk, worst first
            scores = scores[np.argmin((scores < risk).sum(1))]
            if not (scores < risk).any():
                failures += 1
                break
            rest = np.delete(rest, np.argmin(scores))
    return failures / REPEATS


def test_a_learner_that_sees_its_picks_alone_keeps_the_promise_and_wastes_little():
    assert 0.6 * DELTA <= broken(looks=1, bits=0, seed=1) <= DELTA


def test_a_learner_that_peeks_at_the_rest_breaks_it():
    assert broken(looks=4, bits=0, seed=1) > 1.4 * DELTA


# A task of known risk: the label is x > 1/2, flipped with probability NOISE. The network is a threshold, the best on
# the picks; the farthest example on its wrong side is picked next, at most MOST times.
NOISE, EXAMPLES, MOST = 0.1, 60, 24


def threshold(x: np.ndarray, y: np.ndarray) -> float:
    """The first of the thresholds with the fewest errors on the picks: below all, or halfway above each."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    cuts = np.concatenate([[0.0], (x + np.append(x[1:], 1.0)) / 2])
    return float(cuts[np.argmin([np.sum((x > cut) != y) for cut in cuts])])


def selection(x: np.ndarray, y: np.ndarray) -> tuple[list[int], float]:
    picked, cut = [], 0.5 - 0.3
    while len(picked) < MOST:
        depth = np.where((x > cut) != y, np.abs(x - cut), -1.0)
        depth[picked] = -1.0
        if depth.max() < 0:
            break
        picked.append(int(np.argmax(depth)))
        cut = threshold(x[picked], y[picked])
    return picked, cut


def outcomes(seed: int, repeats: int) -> list[tuple[int, int, float]]:
    """Picks, errors outside them and exact risk of the whole selection, repeated."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(repeats):
        x = rng.random(EXAMPLES)
        y = (x > 0.5) ^ (rng.random(EXAMPLES) < NOISE)
        picked, cut = selection(x, y)
        wrong = (x > cut) != y
        wrong[picked] = False
        made.append((len(picked), int(wrong.sum()), NOISE + (1 - 2 * NOISE) * abs(cut - 0.5)))
    return made


def test_pick_to_learn_on_noisy_thresholds_keeps_the_promise():
    made = outcomes(seed=3, repeats=300)
    fails = [picks(t, errors, EXAMPLES, 0, DELTA).value < risk for t, errors, risk in made]
    assert np.mean(fails) <= DELTA
    # counting the errors alone, as on a test set, breaks it
    forgotten = [picks(0, errors, EXAMPLES, 0, DELTA).value < risk for _, errors, risk in made]
    assert np.mean(forgotten) > DELTA


@pytest.mark.parametrize("seed", range(3))
def test_taking_away_an_unpicked_example_that_is_right_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    x = rng.random(EXAMPLES)
    y = (x > 0.5) ^ (rng.random(EXAMPLES) < NOISE)
    picked, cut = selection(x, y)
    removable = [i for i in range(EXAMPLES) if i not in picked and (x[i] > cut) == y[i]]
    kept = np.delete(np.arange(EXAMPLES), rng.choice(removable, 5, replace=False))
    again, same = selection(x[kept], y[kept])
    assert (kept[again].tolist(), same) == (picked, cut)

"""Pick-to-learn against a slow one that asks everybody in every round, and what the learner must not see."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pacbound.data.examples import Examples
from pacbound.data.registry import load
from pacbound.models.reference import build, initialise
from pacbound.picking.order import GAP
from pacbound.picking.selection import END, Learned, Round, Selection
from pacbound.specs.picks import GROWTH_PARTS, RecipeSpec, sizes
from pacbound.specs.specs import PreprocessSpec
from tests.picking.task import PLAIN, Broken, logits_of, network, noisy, normalised, priority, recipe, select, wrong
from tests.tiny import CLASSES, FEATURES, clouds

ORDERS = ("priority", "worst", "boundary")


# ---------------------------------------------------------------- a slow pick-to-learn


def listed(first: int, growth: int, n: int) -> list[int]:
    """The list of sizes, written anew."""
    found = [0]
    while found[-1] < n and len(found) < 64:
        last = found[-1]
        found.append(min(n, first if last == 0 else last + max(1, int(last * growth / 16))))
    return found


def next_group(waiting: list[int], logits: Tensor, y: Tensor, order: str, size: int) -> list[int]:
    """The first `size` of those who wait, in order of priority, by logits (n, classes) and the order of a recipe."""
    if order == "priority":
        return waiting[:size]
    losses = nn.functional.cross_entropy(logits, y, reduction="none").tolist()
    own = logits.gather(1, y[:, None])[:, 0]
    leads = ((logits - 1e9 * nn.functional.one_hot(y, CLASSES)).amax(1) - own).tolist()

    def key(row: int) -> float:
        return -losses[row] if order == "worst" else leads[row]

    ranked = sorted(waiting, key=key)
    end = min(size, len(ranked))
    while 0 < end < len(ranked) and key(ranked[end]) - key(ranked[end - 1]) <= GAP:
        end += 1
    taken = set(ranked[:end])
    return [row for row in waiting if row in taken]


def expected_stop(at: list[int], before: int, now: int, nobody_wrong: bool) -> int | None:
    """END where nothing is left, else the largest size of the list that was reached since the round before."""
    reached = [place for place, size in enumerate(at) if before < size <= now]
    return END if nobody_wrong else max(reached, default=None)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("first", "growth"), [(4, 8), (16, 1), (8, 4)])
def test_the_selection_is_that_of_a_slow_one_which_asks_everybody(
    order: str, first: int, growth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacbound.picking.selection.BATCH", 5)
    monkeypatch.setattr("pacbound.picking.selection.TAIL", 2)  # most of the time nobody is wrong among so few
    examples, chosen = noisy(50), recipe(order=order, first=first, growth=growth, seed=7)
    queue = sorted(range(50), key=lambda row: priority(examples, row, 7))
    at = listed(first, growth, examples.n)
    assert list(sizes(chosen, examples.n)) == at
    rounds = list(Selection(network(), examples, PLAIN, chosen).rounds(progress=False))
    before = -1
    for one, after in zip(rounds, [*rounds[1:], None], strict=True):
        t, logits = len(one.picked), logits_of(one, network(), examples.x)
        missed, inside = wrong(logits, examples.y), set(one.picked.tolist())
        everybody = [row for row in queue if row not in inside and missed[row]]
        assert one.stop == expected_stop(at, before, t, not everybody)
        if order != "priority":  # where the asking may stop early
            assert (one.asked, one.wrong) == (examples.n - t, len(everybody))
        if after is None:
            assert (everybody == []) or t >= at[-1]
        else:
            target = next(size for size in at if size > t)
            group = next_group(everybody, logits, examples.y, order, target - t)
            assert after.picked.tolist() == [*one.picked.tolist(), *group]
        before = t
    assert len(rounds) > 5, "the task is too easy to say anything"
    if order == "priority":
        assert any(one.wrong == 0 for one in rounds[:-1]), "somebody is always wrong among the last"


def test_by_priority_asking_stops_at_the_last_one_picked_and_the_last_of_all_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pacbound.picking.selection.BATCH", 3)
    monkeypatch.setattr("pacbound.picking.selection.TAIL", 12)
    examples, at = noisy(70), listed(4, 4, 70)
    selection = Selection(network(), examples, PLAIN, recipe(growth=4))
    asked: list[int] = []
    answers = selection._answers
    monkeypatch.setattr(selection, "_answers", lambda module, rows: asked.extend(rows) or answers(module, rows))
    rounds, questions = [], []
    for one in selection.rounds(progress=False):
        rounds.append(one)
        questions.append(tuple(asked))
        asked.clear()
    monkeypatch.undo()
    assert [one.picked.tolist() for one in rounds] == [one.picked.tolist() for one in select(examples, growth=4)]
    early = 0
    for one, after, rows in zip(rounds, rounds[1:], questions, strict=False):
        waiting = [row for row in selection.order.tolist() if row not in one.picked]
        missed = wrong(logits_of(one, network(), examples.x[waiting]), examples.y[waiting])
        last = waiting.index(after.picked[-1])
        found = len(after.picked) in at  # as many as were looked for
        if found and len(waiting) - 3 * (last // 3 + 1) > 12:
            assert list(rows) == [*waiting[: 3 * (last // 3 + 1)], *waiting[-12:]]
            assert (one.asked, one.wrong) == (12, sum(missed[-12:]))
            early += 1
        else:
            assert list(rows) == waiting
            assert (one.asked, one.wrong) == (len(waiting), sum(missed))
    assert early > 3


@pytest.mark.parametrize("order", ORDERS)
def test_a_selection_up_to_a_place_is_the_beginning_of_the_whole_one(order: str) -> None:
    examples = noisy(90)
    whole = select(examples, order=order)
    for place in (0, 1, 3, 6):
        part = select(examples, last=place, order=order)
        assert part[-1].stop is not None
        assert part[-1].stop >= place
        assert_same(part, whole[: len(part)])
        assert all(one.stop is None or one.stop < place for one in part[:-1])


def test_a_list_of_64_sizes_ends_the_selection_though_some_are_left() -> None:
    x = torch.randn(300, FEATURES, generator=torch.Generator().manual_seed(0))
    y = torch.randint(CLASSES, (300,), generator=torch.Generator().manual_seed(1))
    examples = Examples("noise", x, y, classes=CLASSES)
    at = sizes(recipe(growth=1), 300)
    assert len(at) == 64
    rounds = select(examples, growth=1)
    assert [len(one.picked) for one in rounds] == list(at)
    assert (rounds[-1].stop, rounds[-1].wrong > 0, at[-1] < 300) == (END, True, True)


def test_growth_is_in_sixteenths_and_by_one_at_least() -> None:
    assert sizes(recipe(first=4, growth=1), 7) == (0, 4, 5, 6, 7)
    assert sizes(recipe(first=32, growth=8), 100) == (0, 32, 48, 72, 100)
    assert GROWTH_PARTS == 16
    assert sizes(recipe(first=16), 10) == (0, 10)


# ---------------------------------------------------------------- preference


def assert_same(some: list[Round], others: list[Round]) -> None:
    """The same T and networks, bit for bit, round by round."""
    assert [one.picked.tolist() for one in some] == [one.picked.tolist() for one in others]
    assert [one.network for one in some] == [one.network for one in others]
    assert [one.stop for one in some] == [one.stop for one in others]


def same(one: Learned, other: Learned) -> bool:
    """Whether the same is kept after two rounds."""
    return (one.picked.tolist(), one.before, one.network) == (other.picked.tolist(), other.before, other.network)


def removable(examples: Examples, selection: Selection, one: Round) -> list[int]:
    """Neither picked nor misclassified at the end."""
    missed, _, _ = selection._ask(selection._thawed(one.network), one.picked, examples.n)
    return sorted(set(range(examples.n)) - set(one.picked.tolist()) - set(missed.tolist()))


def assert_preference(
    examples: Examples, make: Callable[[Examples], Selection], last: int, together: bool = True
) -> None:
    """Take 20 removable examples away, at once or one after another: the same T and the same network come out."""
    selection = make(examples)
    *_, one = selection.rounds(last, progress=False)
    gone = np.random.default_rng(0).choice(removable(examples, selection, one), 20, replace=False)
    assert 0 < len(one.picked) < examples.n - 20
    for away in [gone] if together else gone[:, None]:
        kept = np.delete(np.arange(examples.n), away)
        *_, again = make(examples.subset(kept.tolist())).rounds(last, progress=False)
        assert kept[again.picked].tolist() == one.picked.tolist()
        assert again.network == one.network


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("module", [network, normalised])
def test_taking_away_what_was_neither_picked_nor_wrong_changes_nothing(
    order: str, module: Callable[[], nn.Module]
) -> None:
    assert_preference(noisy(70), lambda examples: Selection(module(), examples, PLAIN, recipe(order=order)), 6)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
def test_taking_them_away_one_by_one_changes_nothing(order: str) -> None:
    def make(examples: Examples) -> Selection:
        return Selection(network(), examples, PLAIN, recipe(order=order))

    assert_preference(noisy(100), make, 6, together=False)


def seeded(name: str, order: str) -> Callable[[Examples], Selection]:
    """A reference network from seed 0, on inputs treated as their data set is."""

    def make(examples: Examples) -> Selection:
        module, treated = build(name, examples.shape, 10), PreprocessSpec(name=examples.preprocess)
        initialise(module, 0)
        return Selection(module, examples, treated, recipe(order=order, first=16, rate=4000))

    return make


@pytest.mark.parametrize("order", ORDERS)
def test_on_digits_taking_away_20_changes_nothing(order: str) -> None:
    assert_preference(load("digits").subset(range(200)), seeded("mlp", order), 4)


@pytest.mark.parametrize("order", ["priority", "worst"])
def test_on_mnist_taking_away_20_changes_nothing(order: str, data_root: Path) -> None:
    assert_preference(load("mnist", data_root).subset(range(300)), seeded("lenet1", order), 3)


class Peeks(nn.Module):
    """Notes the mean of whatever it is asked, and leans on it when it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network()
        self.register_buffer("mean", torch.zeros(FEATURES), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            self.mean.copy_(x.mean(0))
            return self.body(x)
        return self.body(x - self.mean)


def test_what_a_network_notes_when_it_is_asked_does_not_reach_the_learner() -> None:
    assert_preference(noisy(100), lambda examples: Selection(Peeks(), examples, PLAIN, recipe()), 6)


def test_a_learner_that_peeks_is_seen_by_taking_examples_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from pacbound.picking import selection as home

    honest = home.learn

    def peeking(examples: Examples) -> Selection:
        mean = examples.x.mean()

        def learn(module: nn.Module, x: Tensor, y: Tensor, chosen: RecipeSpec) -> None:
            honest(module, x - mean, y, chosen)

        monkeypatch.setattr(home, "learn", learn)
        return Selection(network(), examples, PLAIN, recipe())

    with pytest.raises(AssertionError):
        assert_preference(noisy(100), peeking, 6)


def test_an_order_by_place_is_seen_by_mixing_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = noisy()
    mixed = torch.randperm(examples.n, generator=torch.Generator().manual_seed(2))

    def chosen(order: list[int]) -> Tensor:
        (*_, one) = select(examples, last=6)
        (*_, other) = select(examples.subset(order), last=6)
        return torch.equal(examples.x[one.picked], examples.subset(order).x[other.picked])

    assert chosen(mixed.tolist())
    monkeypatch.setattr("pacbound.picking.selection.priorities", lambda some, seed: np.arange(some.n))
    assert not chosen(mixed.tolist())


@pytest.mark.parametrize("module", [network, normalised])
def test_the_learner_makes_the_same_network_where_the_picks_are_all_there_is(module: Callable[[], nn.Module]) -> None:
    """Statistics of batch normalisation and whatever else it learns are those of T alone."""
    examples = noisy(60)
    rounds = select(examples, module())
    for one, after in itertools.pairwise(rounds):
        alone = Selection(module(), examples.subset(after.picked.tolist()), PLAIN, recipe())
        assert alone._learned(alone._thawed(one.network), np.arange(len(after.picked))) == after.network
    assert rounds[1].network != rounds[0].network


def test_of_two_equal_examples_one_may_be_picked_and_the_other_stay() -> None:
    one = noisy(30)
    twice = Examples("clouds", torch.cat([one.x, one.x]), torch.cat([one.y, one.y]), classes=CLASSES)
    for order in ORDERS:
        rounds = select(twice, order=order)
        picked = rounds[-1].picked.tolist()
        assert len(set(picked)) == len(picked)
        swapped = Examples("clouds", twice.x.roll(30, 0), twice.y.roll(30), classes=CLASSES)
        assert_same(rounds, select(swapped, order=order))
    copies = [row for row in picked if (row + 30) % 60 in picked]
    assert copies, "no example was picked twice"


# ---------------------------------------------------------------- odd samples


def test_one_class_only_ends_as_soon_as_everybody_is_right() -> None:
    x, _ = clouds(80)
    rounds = select(Examples("one", x, torch.ones(80, dtype=torch.int64), classes=CLASSES))
    assert (rounds[-1].stop, rounds[-1].wrong) == (END, 0)
    assert len(rounds[-1].picked) < 30


def test_where_theta0_errs_nowhere_nothing_is_picked() -> None:
    x, _ = clouds(80)
    y = network()(x).argmax(1)
    (only,) = select(Examples("known", x, y, classes=CLASSES))
    assert (only.stop, len(only.picked), only.asked, only.wrong) == (END, 0, 80, 0)


@pytest.mark.parametrize("order", ORDERS)
def test_ten_examples_are_enough(order: str) -> None:
    rounds = select(noisy(10, share=0.5), order=order, first=16)
    assert rounds[-1].stop in (END, 1)
    assert len(rounds[-1].picked) <= 10


@pytest.mark.parametrize("order", ORDERS)
def test_a_network_that_says_no_number_is_wrong_everywhere(order: str) -> None:
    rounds = select(noisy(40), Broken(), order=order, first=16)
    assert sorted(rounds[-1].picked.tolist()) == list(range(40))
    assert rounds[0].wrong == 40
    if order != "priority":
        assert len(rounds) == 2, "values that nothing tells apart are picked together"


# ---------------------------------------------------------------- what is left behind


def test_a_selection_may_be_run_again_and_asked_in_between() -> None:
    examples, module = noisy(60), network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    selection = Selection(module, examples, PLAIN, recipe())
    once = list(selection.rounds(progress=False))
    again = []
    for one in selection.rounds(progress=False):
        selection.wrong_outside(once[-1])
        again.append(one)
    assert_same(once, again)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_global_random_numbers_and_settings_neither_matter_nor_change() -> None:
    examples = noisy(60)
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    once = select(examples)
    assert torch.equal(state, torch.get_rng_state())
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, False)
    torch.manual_seed(2)
    assert_same(once, select(examples))


@pytest.mark.parametrize("order", ["priority", "worst"])
@pytest.mark.parametrize("module", [network, normalised])
def test_a_selection_goes_on_after_every_round_with_the_same_bits(order: str, module: Callable[[], nn.Module]) -> None:
    examples, kept = noisy(50), list[Learned]()
    whole = list(Selection(module(), examples, PLAIN, recipe(order=order)).rounds(keep=kept.append, progress=False))
    assert len(kept) == len(whole) - 1 > 5
    for number, start in enumerate(kept, 1):
        again = list[Learned]()
        going_on = Selection(module(), examples, PLAIN, recipe(order=order))
        rest = going_on.rounds(start=start, keep=again.append, progress=False)
        # what is kept after the next round is the same again, and so is what follows from it
        rounds = list(rest) if number == 1 else list(itertools.islice(rest, 2))
        assert_same(rounds, whole[number : number + len(rounds)])
        assert len(rounds) == (len(whole) - 1 if number == 1 else min(2, len(whole) - number))
        assert len(again) == len(rounds) - 1
        assert all(same(one, other) for one, other in zip(again, kept[number:], strict=False))

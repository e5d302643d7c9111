"""The learner is a function of the ordered picks and the recipe, bit for bit, and it learns."""

from itertools import pairwise

import pytest
import torch
from torch import Generator, Tensor, nn

from pacbound.models.reference import build, initialise
from pacbound.picking.learner import deterministic, learn, steps_of
from pacbound.specs.picks import RecipeSpec

RECIPE = RecipeSpec(steps=25, epochs=2, batch=16, augmentation="shift", rate=4000)
NETWORK = "c4k3-B-R-M2-h8-R-L"


def picked(t: int = 40) -> tuple[Tensor, Tensor]:
    """Images that are brighter on the left or on the right, and which."""
    noise = Generator().manual_seed(3)
    y = torch.randint(2, (t,), generator=noise)
    x = torch.randn(t, 8, 8, generator=noise)
    x[:, :, :4] += 2.0 * (1 - y)[:, None, None]
    x[:, :, 4:] += 2.0 * y[:, None, None]
    return x, y


def learned(x: Tensor, y: Tensor, recipe: RecipeSpec = RECIPE, network: str = NETWORK) -> nn.Module:
    module = build(network, (8, 8), 2)
    initialise(module, 0)
    state = torch.get_rng_state()
    with deterministic():
        learn(module, x, y, recipe)
    assert torch.equal(state, torch.get_rng_state())  # the global generator is left alone
    return module


def same(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_picks_make_the_same_network_bit_for_bit_whatever_random_numbers_were_drawn_before() -> None:
    torch.manual_seed(1)
    one = learned(*picked())
    torch.manual_seed(2)
    assert same(one, learned(*picked()))


def test_order_seed_and_number_of_the_picks_reach_the_network() -> None:
    x, y = picked()
    one = learned(x, y)
    assert not same(one, learned(x.flip(0), y.flip(0)))
    assert not same(one, learned(x[:-1], y[:-1]))
    assert not same(one, learned(x, y, RECIPE.model_copy(update={"seed": 1})))


def test_dropout_in_a_network_of_the_users_own_is_drawn_from_the_recipe() -> None:
    x, y = picked()

    def trained() -> nn.Module:
        module = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.5), nn.Linear(8, 2))
        initialise(module, 0)
        learn(module, x, y, RECIPE)
        return module

    assert same(trained(), trained())


def test_a_network_without_statistics_is_the_mean_of_adam_run_by_hand() -> None:
    x, y = picked(16)
    recipe = RecipeSpec(steps=25, epochs=0, batch=16, augmentation="none")
    found = learned(x, y, recipe, "L")
    by_hand = build("L", (8, 8), 2)
    initialise(by_hand, 0)
    adam = torch.optim.Adam(by_hand.parameters(), 2e-3, betas=(0.9, 0.99))
    path = []
    for _ in range(25):  # T is one batch, so that its order changes nothing but rounding
        adam.zero_grad()
        nn.functional.cross_entropy(by_hand(x), y).backward()
        adam.step()
        path.append([value.detach().clone() for value in by_hand.parameters()])
    for place, value in enumerate(found.parameters()):
        mean = torch.stack([step[place] for step in path[-7:]]).mean(0)
        assert torch.allclose(value, mean, atol=1e-5)
        assert not torch.allclose(value, path[-1][place], atol=1e-5)


def test_batch_statistics_are_those_of_the_picks_under_the_final_weights() -> None:
    x, y = picked(64)
    module = learned(x, y, RECIPE.model_copy(update={"augmentation": "none", "batch": 64, "epochs": 4}))
    convolution, norm = module[1], module[2]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.momentum == 0.1
    with torch.no_grad():
        maps = convolution(x[:, None])
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, maps.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, maps.var((0, 2, 3)), rtol=1e-4)


def test_it_learns_and_is_left_in_eval_mode_with_a_call_for_every_step() -> None:
    x, y = picked()
    module = build(NETWORK, (8, 8), 2)
    initialise(module, 0)
    taken: list[int] = []
    learn(module, x, y, RECIPE, taken.append)
    assert not module.training
    assert taken == list(range(steps_of(RECIPE, 40))) == list(range(30))
    assert (module(x).argmax(1) == y).float().mean() > 0.9


@pytest.mark.parametrize("t", [1, 2, 15, 16, 17])
def test_every_pick_is_seen_once_before_any_is_seen_again(t: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.arange(t).float()[:, None, None].expand(t, 8, 8).contiguous()
    recipe = RecipeSpec(steps=25, epochs=0, batch=16, augmentation="none")
    seen: list[int] = []
    module = build("L", (8, 8), 2)
    module.register_forward_pre_hook(lambda _, inputs: seen.extend(int(v) for v in inputs[0][:, 0, 0]))
    learn(module, x, torch.zeros(t, dtype=torch.int64), recipe)
    assert len(seen) == 25 * min(t, 16)
    ends = [*range(0, len(seen) + 1, t)]
    assert all(sorted(seen[a:b]) == list(range(t)) for a, b in pairwise(ends))


def test_the_threads_and_algorithms_are_put_back() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with deterministic():
        assert torch.get_num_threads() == 1
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before

"""Leading directions against matrices written out by hand, and what they hold beside random ones."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from pacbound.bits.codes import fit_code
from pacbound.errors import SubspaceError
from pacbound.measures.flatness import measure_flatness
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.specs.specs import HypothesisSpec, LatticeSpec, ProjectorSpec
from pacbound.subspace.ekfac import EXAMPLES, noise
from pacbound.subspace.random import normals
from pacbound.subspace.subspace import Subspace
from tests.cases import small_network


def two_layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))


def _subspace(module: nn.Module, d: int, shape: tuple[int, ...], scaled: bool = False) -> Subspace:
    base = make_base(module, 0)
    return make_subspace(base, ProjectorSpec(kind="ekfac", D=base.layout.D, d=d, shape=shape), scaled)


def test_of_a_linear_layer_it_is_the_product_of_two_eigenbases() -> None:
    """f = W x: the gradient of <v, f> is v x^T whatever W is, so that numpy needs the noise alone."""
    x = normals(0, "ekfac/inputs", EXAMPLES * 5).astype(float).reshape(EXAMPLES, 5)
    v = normals(0, "ekfac/outputs", EXAMPLES * 3).astype(float).reshape(EXAMPLES, 3)
    v -= v.mean(1, keepdims=True)
    gradients = v[:, :, None] * x[:, None, :]
    left = np.linalg.eigh(sum(g @ g.T for g in gradients))[1]
    right = np.linalg.eigh(sum(g.T @ g for g in gradients))[1]
    squares = np.mean([(left.T @ g @ right) ** 2 for g in gradients], axis=0)
    leading = sorted(((squares[i, j], i, j) for i in range(3) for j in range(5)), reverse=True)[:4]
    matrix = _subspace(nn.Linear(5, 3, bias=False), 4, (5,)).projector.as_matrix().numpy()
    for column, (_, i, j) in zip(matrix.T, leading, strict=True):
        expected = np.outer(left[:, i], right[:, j]).ravel()
        assert abs(column @ expected) == pytest.approx(1, abs=1e-5)  # its sign is a convention


def test_directions_hold_more_of_what_moves_the_outputs_than_random_ones() -> None:
    module = small_network()
    found = _subspace(module, 100, (1, 8, 8), scaled=True)
    x = noise(99, 12, (1, 8, 8)).float()  # not the noise that they were found on
    jacobian = torch.func.jacrev(lambda theta: found.call_at(theta, x))(found.theta0)
    jacobian = (jacobian - jacobian.mean(1, keepdim=True)).flatten(0, 1) * found.scale  # a common shift decides nothing

    def held(subspace: Subspace) -> float:
        return float((jacobian @ subspace.projector.as_matrix()).square().sum() / jacobian.square().sum())

    base = make_base(module, 0)
    random = make_subspace(base, ProjectorSpec(kind="fastfood", D=base.layout.D, d=100), True)
    most = float((torch.linalg.svdvals(jacobian)[:100] ** 2).sum() / jacobian.square().sum())
    assert 0.8 * most < held(found) <= most
    assert held(random) < 0.2
    matrix = found.projector.as_matrix()
    along = (jacobian @ matrix).square().mean(0)
    assert along[:50].sum() > 2 * along[50:].sum()  # the stiffest first


def test_it_follows_theta0_and_the_scale_of_layers() -> None:
    plain, scaled = (_subspace(two_layers(), 20, (5,), scaled).projector.as_matrix() for scaled in (False, True))
    assert not torch.allclose(plain, scaled, atol=1e-3)
    base = make_base(two_layers(), 1)
    other = make_subspace(base, ProjectorSpec(kind="ekfac", D=base.layout.D, d=20, shape=(5,)), False)
    assert not torch.allclose(plain, other.projector.as_matrix(), atol=1e-3)


def test_directions_are_found_once_for_one_network_and_anew_for_other_numbers() -> None:
    base = make_base(two_layers(), 0)
    spec = ProjectorSpec(kind="ekfac", D=base.layout.D, d=20, shape=(5,))
    first = make_subspace(base, spec, False).projector
    assert make_subspace(base, spec, False).projector is first
    scaled = make_subspace(base, spec, True).projector
    assert make_subspace(base, spec, True).projector is scaled is not first
    with torch.no_grad():
        next(base.module.parameters()).mul_(2)
    moved = make_subspace(base, spec, True).projector
    assert moved is not scaled
    assert not torch.allclose(moved.as_matrix(), scaled.as_matrix(), atol=1e-3)


@pytest.mark.parametrize("shape", [(7,), (9, 6), (3, 8, 8)])
def test_noise_has_mean_0_and_variance_1_and_its_images_are_smooth(shape: tuple[int, ...]) -> None:
    x = noise(3, 400, shape)
    assert x.shape == (400, *shape)
    assert x.dtype == torch.float64
    assert abs(float(x.mean())) < 0.1
    assert float(x.std()) == pytest.approx(1, abs=0.1)
    assert torch.equal(x, noise(3, 400, shape))
    assert not torch.equal(x, noise(4, 400, shape))
    if len(shape) > 1:
        beside, apart = (x[..., 1:] * x[..., :-1]).mean(), (x[..., 0] * x[..., -1]).mean()
        assert beside > 0.6
        assert beside > apart + 0.1
    if len(shape) == 3:
        assert float((x[:, 0] * x[:, 1]).mean()) > 0.6  # channels share most of it


def test_an_image_of_noise_is_a_sum_of_grids_by_hand() -> None:
    """3 x 3 places: grids of 1, 2 and 3 places; between two numbers stands their mean."""
    between = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    spread = {1: np.ones((3, 1)), 2: between, 4: np.eye(3)}
    images = np.zeros((2, 2, 3, 3))
    for side, matrix in spread.items():
        places = min(side, 3)
        grid = normals(7, f"ekfac/octave {side}", 2 * 3 * places**2).astype(float).reshape(2, 3, places, places)
        mixed = grid[:, :1] + 0.4 * grid[:, 1:]
        images += side**-0.6 * (matrix @ mixed @ matrix.T)
    np.testing.assert_allclose(noise(7, 2, (2, 3, 3)).numpy(), images / images.std(ddof=1), rtol=1e-9)


class Branching(nn.Module):
    """Asks about its values, which vmap cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y if y.sum() > 0 else -y


class Paired(Branching):
    """Returns no tensor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.layer(x), x)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("module", "d", "shape", "complaint"),
    [
        (nn.Linear(4097, 2), 4, (4097,), r"sides of a weight matrix are at most 4,096, got 4,097 for weight"),
        (nn.Linear(5, 3), 4, (6,), r"no gradients for noise of shape \(6,\) in float64"),
        (Branching(), 4, (5,), r"no gradients for noise of shape \(5,\) in float64: .*control flow"),
        (Paired(), 4, (5,), "no gradients for noise"),
        (nn.Linear(5, 3), 16, (5,), r"12 directions move the outputs at theta0, got d = 16"),
    ],
)
def test_what_has_no_such_directions_is_refused(
    module: nn.Module, d: int, shape: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(SubspaceError, match=complaint):
        _subspace(module, d, shape)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "ekfac"},
        {"kind": "fastfood", "shape": (3, 4)},
        {"kind": "ekfac", "shape": (1 << 10, 1 << 10)},
        {"kind": "ekfac", "shape": (0, 4)},
        {"kind": "ekfac", "shape": (1, 1, 1, 1)},
        {"kind": "permuted", "parts": [{"kind": "ekfac", "D": 10, "d": 2, "shape": (4,)}]},
    ],
)
def test_records_of_it_that_mean_nothing_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"ekfac|shape"):
        ProjectorSpec.model_validate({"D": 10, "d": 2, **fields})


@pytest.mark.parametrize("places", [0, 3])
def test_its_flatness_is_along_the_directions_of_theta0_wherever_the_network_has_gone(places: int) -> None:
    base = make_base(two_layers(), 0)
    spec = ProjectorSpec(kind="ekfac", D=base.layout.D, d=4, shape=(5,))
    record = HypothesisSpec(
        model="user", layout_digest="1" * 64, base=base.origin, projector=spec, layer_scale=False,
        quantizer=LatticeSpec(step_index=40), code=fit_code(np.array([3, 5, 2, 2], np.int32), 9),
    )  # fmt: skip
    decoded = copy.deepcopy(base.module)
    with torch.no_grad():
        for parameter in decoded[0].parameters():  # hidden units change places, and with them what moves the outputs
            parameter.copy_(parameter.roll(places, 0))
        decoded[2].weight.copy_(decoded[2].weight.roll(places, 1))
    x = torch.randn(100, 5, generator=torch.Generator().manual_seed(2))
    matrix = make_subspace(base, spec, False).projector.as_matrix()
    names, total = [name for name, _ in decoded.named_parameters()], 0.0
    for row in x:
        values = {name: value.detach().clone().requires_grad_() for name, value in decoded.named_parameters()}
        logs = functional_call(decoded, values, (row[None],))[0].log_softmax(0)
        for log in logs:
            slopes = torch.autograd.grad(log, [values[name] for name in names], retain_graph=True)
            along = matrix.T @ torch.cat([one.flatten() for one in slopes])
            total += float(log.detach().exp() * along.square().sum()) / len(x)
    found = measure_flatness(decoded, base.module, record, x.repeat(10, 1))
    assert found.value == pytest.approx(total, rel=0.1)

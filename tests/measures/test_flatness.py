"""The trace of the Fisher in the subspace, against gradients of every label one by one in the dense projector."""

import pytest
import torch
from torch.func import functional_call

from pacbound.bits.codes import fit_code
from pacbound.errors import ModelError
from pacbound.measures.flatness import EXAMPLES, measure_flatness
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.specs.specs import HypothesisSpec, LatticeSpec, ProjectorSpec
from tests.forge import symbols_of
from tests.tiny import clouds, network

PROJECTOR = ProjectorSpec(kind="dense", D=83, d=5, seed=2)


def expected(module: torch.nn.Module, x: torch.Tensor, scaled: bool) -> float:
    """sum over labels of p(y|x) |(scale P)^T gradient of ln p(y|x) in theta|^2, mean over examples."""
    subspace = make_subspace(make_base(module, None), PROJECTOR, scaled)
    matrix = subspace.projector.as_matrix()
    matrix = matrix if subspace.scale is None else subspace.scale[:, None] * matrix
    names = [name for name, _ in module.named_parameters()]
    total = 0.0
    for row in x:
        values = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
        logs = functional_call(module, values, (row[None],))[0].log_softmax(0)
        for log in logs:
            slopes = torch.autograd.grad(log, [values[name] for name in names], retain_graph=True)
            slope = torch.cat([one.flatten() for one in slopes])
            total += float(log.detach().exp() * ((matrix.T @ slope) ** 2).sum())
    return total / len(x)


@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_the_trace_of_the_fisher_up_to_the_draw_of_labels(scaled: bool) -> None:
    module = network().eval()
    x = clouds(60)[0]
    spec = HypothesisSpec(
        model="user", layout_digest="1" * 64, base=make_base(module, None).origin, projector=PROJECTOR,
        layer_scale=scaled, quantizer=LatticeSpec(step_index=40), code=fit_code(symbols_of(5), 9),
    )  # fmt: skip
    repeated = x.repeat(-(-EXAMPLES // len(x)), 1)[:EXAMPLES]
    found = measure_flatness(module, module, spec, repeated)
    assert found.value == pytest.approx(expected(module, repeated[:60], scaled), rel=0.15)
    assert not found.verified
    assert measure_flatness(module, module, spec, repeated) == found


def test_a_network_in_no_subspace_has_none() -> None:
    spec = HypothesisSpec(model="user", layout_digest="1" * 64, base=make_base(network(), 0).origin)
    with pytest.raises(ModelError, match="lies in none"):
        measure_flatness(network(), network(), spec, clouds(10)[0])
